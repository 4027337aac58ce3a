"""``python -m ke_torch.probe``: what this Python has, as one line of JSON. Imports neither torch nor triton, so it is quick."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import platform
import sys
from typing import Any

from .compile.toolchain import find_nvcc, find_tool
from .profile.preflight import find_ncu, ncu_folders, preflight

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


def _tools() -> dict[str, str]:
    """Compilers of CUDA and C++ candidates."""
    found = {"nvcc": find_nvcc(), "g++": find_tool("g++") or find_tool("clang++")}
    return {name: path for name, path in found.items() if path is not None}


def _toolkit(tools: dict[str, str]) -> set[str]:
    """The folder that nvcc's own files are in, where a sandbox does not show it anyway."""
    if "nvcc" not in tools:
        return set()
    root = os.path.dirname(os.path.dirname(os.path.realpath(tools["nvcc"])))
    return set() if root.startswith("/usr") or root == "/" else {root}


def probe() -> dict[str, Any]:
    """Versions of Python and packages, compilers, folders that a sandbox has to show, and devices."""
    devices, why_none = _devices()
    tools = _tools()
    ncu = find_ncu()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "prefixes": sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, *_toolkit(tools), *(ncu_folders(ncu) if ncu else [])}),
        "packages": _versions(),
        "tools": tools,
        "devices": devices,
        "why_no_device": why_none,
        "profilers": preflight("cuda"),
    }


if __name__ == "__main__":
    print(json.dumps(probe()))
