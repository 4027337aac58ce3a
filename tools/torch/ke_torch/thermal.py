"""Whether the device held its clocks: throttle reasons by NVML where it can be asked, else by nvidia-smi."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from typing import Any

# Bits of the reasons that spoil a measurement: software power cap and thermal, hardware slowdown, thermal and power brake.
SPOILING = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}


class Thermal:
    """Reads throttle reasons; on the processor there is nothing to read."""

    def __init__(self, device: str) -> None:
        self.missing = ""
        self._index = int(device.partition(":")[2] or 0)
        self._nvml: Any = None
        self._handle: Any = None
        self._smi: str | None = None
        if device == "cpu":
            return
        try:
            self._nvml = importlib.import_module("pynvml")
            self._nvml.nvmlInit()
            self._handle = self._nvml.nvmlDeviceGetHandleByIndex(self._index)
        except Exception as error:
            self._nvml = None
            self._smi = shutil.which("nvidia-smi")
            if self._smi is None:
                self.missing = f"neither pynvml ({error}) nor nvidia-smi"

    def read(self) -> int:
        """The reasons that hold now, as bits."""
        if self._nvml is not None:
            return int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))
        if self._smi is None:
            return 0
        argv = [
            self._smi,
            "-i",
            str(self._index),
            "--query-gpu=clocks_throttle_reasons.active",
            "--format=csv,noheader",
        ]
        try:
            said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
            return int(said, 16)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            self.missing = f"nvidia-smi: {error}"
            return 0

    def since(self, before: int) -> list[str]:
        """What spoils the measurement that lies between then and now."""
        bits = before | self.read()
        return [name for bit, name in SPOILING.items() if bits & bit]
