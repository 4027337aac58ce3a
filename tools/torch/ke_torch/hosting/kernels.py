"""Kernels of the host's own, compiled by the CUDA runtime compiler that comes with torch: the gate before a timed call, the
contents of its inputs, and the word that it is over. A process loads them before candidate code.

The page is memory of the machine that the device reads: ``released, key, expired, done``. A gate waits until its call is released
and then takes the key, so that what a call computes on does not exist anywhere before the call before it is over.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import torch

SOURCE = r"""
typedef unsigned long long u64;
__device__ __forceinline__ u64 now() { u64 t; asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t)); return t; }
__device__ __forceinline__ u64 hash(u64 x) {
  x ^= x >> 33; x *= 0xff51afd7ed558ccdULL; x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53ULL; return x ^ (x >> 33);
}
extern "C" __global__ void ke_gate(volatile u64* page, volatile u64* key, u64 call, u64 limit_ns) {
  u64 start = now();
  while (page[0] < call && !page[2]) if (now() - start > limit_ns) page[2] = 1;
  __threadfence_system();
  key[0] = page[1];
}
extern "C" __global__ void ke_null() {}
extern "C" __global__ void ke_over(volatile u64* page, u64 call) { __threadfence_system(); page[3] = call; }
// Every element, or every row of `group` elements, comes from one of two draws, as the key says; from a lone draw, shifted.
template <typename T>
__device__ void mix(T* out, const u64* draws, u64 count, const u64* key, u64 salt, u64 group, u64 elements) {
  u64 k = hash(key[0] + 1), first = k % count, second = count > 1 ? (first + 1 + (k >> 32) % (count - 1)) % count : first;
  const T* a = (const T*)draws[first];
  const T* b = (const T*)draws[second];
  u64 rows = elements / group, shift = count > 1 ? 0 : (hash(k ^ salt) % rows) * group, step = (u64)gridDim.x * blockDim.x;
  for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    u64 row = group == 1 ? i : i / group, from = i + shift;
    from = from < elements ? from : from - elements;
    out[i] = hash((k ^ salt) + row * 0x9e3779b97f4a7c15ULL) & 1 ? a[from] : b[from];
  }
}
#define MIX(bytes, type) extern "C" __global__ void ke_mix##bytes(type* out, const u64* draws, u64 count, const u64* key, \
  u64 salt, u64 group, u64 elements) { mix<type>(out, draws, count, key, salt, group, elements); }
MIX(1, unsigned char) MIX(2, unsigned short) MIX(4, unsigned int) MIX(8, u64) MIX(16, ulonglong2)
"""
NAMES = ("ke_gate", "ke_null", "ke_over", "ke_mix1", "ke_mix2", "ke_mix4", "ke_mix8", "ke_mix16")


class KernelsError(Exception):
    """The kernels cannot be had here."""


def _library() -> ctypes.CDLL:
    major = (torch.version.cuda or "0").split(".")[0]
    for name in (f"libnvrtc.so.{major}", "libnvrtc.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise KernelsError(f"there is no libnvrtc.so.{major}")


_prepared: dict[str, bytes] = {}


def architectures() -> set[str]:
    """Of the machine's devices (``sm_90``), by the management library, which touches none; none where it is missing."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        count, major, minor = ctypes.c_uint(), ctypes.c_int(), ctypes.c_int()
        if library.nvmlInit_v2() != 0 or library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return set()
        found = set()
        for index in range(count.value):
            handle = ctypes.c_void_p()
            library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
            if library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == 0:
                found.add(f"sm_{major.value}{minor.value}")
        library.nvmlShutdown()
        return found
    except (OSError, AttributeError):
        return set()


def prepare(wanted: set[str]) -> None:
    """Compiles once for all processes forked from this one, in a child: the compiler starts threads, which must not be here.

    What cannot be compiled here is compiled, or told, by the process that needs it.
    """
    for architecture in sorted(wanted):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "wb") as file:
                    file.write(compile_source(architecture))
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            code = file.read()
        if os.waitpid(pid, 0)[1] == 0:
            _prepared[architecture] = code


def compile_source(architecture: str) -> bytes:
    """Machine code for ``sm_90`` and the like.

    @raises KernelsError with the compiler's words.
    """
    if architecture in _prepared:
        return _prepared[architecture]
    library, program = _library(), ctypes.c_void_p()
    options = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
    if library.nvrtcCreateProgram(ctypes.byref(program), SOURCE.encode(), b"ke.cu", 0, None, None) != 0:
        raise KernelsError("the runtime compiler takes no program")
    size = ctypes.c_size_t()
    if library.nvrtcCompileProgram(program, 1, options) != 0:
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        raise KernelsError(f"the runtime compiler: {log.value.decode(errors='replace')[:500]}")
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    library.nvrtcGetCUBIN(program, code)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw


class Kernels:
    """The loaded kernels of one process."""

    def __init__(self, device: torch.device) -> None:
        major, minor = torch.cuda.get_device_capability(device)
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._stream = torch.cuda.current_stream
        self._device = device
        module = ctypes.c_void_p()
        code = compile_source(f"sm_{major}{minor}")
        status = self._cuda.cuModuleLoadData(ctypes.byref(module), code)
        if status != 0:
            raise KernelsError(f"the driver does not load our kernels ({status})")
        self._functions: dict[str, Any] = {}
        for name in NAMES:
            found = ctypes.c_void_p()
            if self._cuda.cuModuleGetFunction(ctypes.byref(found), module, name.encode()) != 0:
                raise KernelsError(f"no kernel {name}")
            self._functions[name] = found

    def launch(self, name: str, grid: int, block: int, *arguments: int) -> None:
        """On the current stream; every argument is 64 bits wide."""
        values = [ctypes.c_uint64(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        stream = ctypes.c_void_p(self._stream(self._device).cuda_stream)
        status = self._cuda.cuLaunchKernel(self._functions[name], grid, 1, 1, block, 1, 1, 0, stream, pointers, None)
        if status != 0:
            raise RuntimeError(f"CUDA error {status}: {name} was not launched")
