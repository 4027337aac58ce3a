"""Whether the device held its clocks: throttle reasons by the management library, else by nvidia-smi; else nobody knows."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

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
        self.source = "none"
        self._index = int(device.partition(":")[2] or 0)
        self._handle = ctypes.c_void_p()
        self._library: ctypes.CDLL | None = None
        self._smi: str | None = None
        if device == "cpu":
            return
        why = self._open()
        if not why:
            self.source = "nvml"
            return
        self._smi = shutil.which("nvidia-smi")
        if self._smi is not None:
            self.source = "nvidia-smi"
            self.read()
        if self._smi is None:
            self.missing = f"{why}, and there is no nvidia-smi: whether the device throttled is unknown"

    def _open(self) -> str:
        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
            if library.nvmlInit_v2() != 0:
                return "the management library does not start"
            # The library counts all devices of the machine, torch those that are visible.
            if library.nvmlDeviceGetHandleByIndex_v2(self._index, ctypes.byref(self._handle)) != 0:
                return f"the management library knows no device {self._index}"
            found = ctypes.c_ulonglong()
            if library.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle, ctypes.byref(found)) != 0:
                return "the management library tells no throttle reasons"
        except (OSError, AttributeError) as error:
            return f"no management library ({error})"
        self._library = library
        return ""

    def read(self) -> int:
        """The reasons that hold now, as bits."""
        if self._library is not None:
            found = ctypes.c_ulonglong()
            if self._library.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle, ctypes.byref(found)) == 0:
                return int(found.value)
            self.missing, self.source = "the management library answers no longer", "none"
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
            self.missing, self.source, self._smi = f"nvidia-smi: {error}: whether the device throttled is unknown", "none", None
            return 0

    def since(self, before: int) -> list[str]:
        """What spoils the measurement that lies between then and now."""
        bits = before | self.read()
        return [name for bit, name in SPOILING.items() if bits & bit]
