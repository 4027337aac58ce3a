"""``python -m ke_torch.probe``: what this Python has, as one line of JSON. Imports neither torch nor triton, so it is quick."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import platform
import sys
from typing import Any

PACKAGES = ("torch", "triton", "numpy", "nvidia-cutlass-dsl")
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _devices() -> tuple[list[dict[str, Any]], str]:
    """NVIDIA devices by the driver's own library, and why there are none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [], "no NVIDIA driver (libcuda.so.1) on this machine"
    status = cuda.cuInit(0)
    if status != 0:
        return [], f"the NVIDIA driver does not start (cuInit answers {status})"
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    devices: list[dict[str, Any]] = []
    for index in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
        cuda.cuDeviceGet(ctypes.byref(device), index)
        cuda.cuDeviceGetName(name, 256, device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, device)
        label = name.value.decode(errors="replace")
        devices.append({"index": index, "name": label, "capability": f"{major.value}.{minor.value}", "memory": memory.value})
    return devices, "" if devices else "the NVIDIA driver sees no device"


def probe() -> dict[str, Any]:
    """Versions of Python and packages, folders that a sandbox has to show, and devices."""
    devices, why_none = _devices()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "prefixes": sorted({sys.prefix, sys.base_prefix, sys.exec_prefix}),
        "packages": _versions(),
        "devices": devices,
        "why_no_device": why_none,
    }


if __name__ == "__main__":
    print(json.dumps(probe()))
