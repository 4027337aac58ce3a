"""The two kinds of device behind one interface. Every function a host needs is taken here, before candidate code is loaded."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from .kernels import Kernels, KernelsError
from .queued import Queue

POISON = (0x7FBADBAD, 0x5A5A5A5A)
_clock = time.perf_counter_ns
_empty = torch.empty
_fill = torch.Tensor.fill_


class Device(Protocol):
    """What a host does with the hardware."""

    kind: str
    name: str
    missing: list[str]
    queue: Queue | None

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of a CPU tensor on the device."""

    def synchronize(self) -> None:
        """Waits for everything on the device, on every stream."""

    def flush(self) -> None:
        """Puts the caches out of what the call will read."""

    def held(self) -> int:
        """Bytes of torch's memory on the device that are this object's."""

    def release(self) -> None:
        """Gives memory that nothing uses to other processes."""

    def timed(self, call: Callable[[], Any], words: memoryview, done: int, sequence: int) -> Any:
        """Calls, waits for the device, writes `sequence` into word `done`, and answers what the call answered."""

    def times(self) -> tuple[int, int, int]:
        """Of the last timed call, ns: around call and wait, on the device's own clock, unfinished when its stream was done."""

    def describe(self) -> dict[str, Any]:
        """Name, memory and the flags that decide precision."""


def poison(device: torch.device, sizes: Sequence[int]) -> None:
    """Leaves two patterns, not zeros or old answers, in the memory that the allocator hands out next."""
    held = []
    for nbytes in sizes:
        for pattern in POISON:
            words = _empty(max(1, (nbytes + 3) // 4), dtype=torch.int32, device=device)
            _fill(words, pattern if pattern < 1 << 31 else pattern - (1 << 32))
            held.append(words)


def precision_flags() -> dict[str, Any]:
    """The settings that decide what a float32 product means."""
    return {
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
    }


class CpuDevice:
    """The processor: a call is over when it returns."""

    kind = "cpu"

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(max(1, threads))
        self.device = torch.device("cpu")
        self.name = "cpu"
        self.missing: list[str] = []
        self.queue: Queue | None = None
        self._inner = 0
        self._buffer: torch.Tensor | None = None

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """A private copy."""
        return tensor.clone()

    def synchronize(self) -> None:
        """Nothing runs by itself."""

    def flush(self) -> None:
        """Reads and writes more than the last-level cache holds (32 MiB at most)."""
        if self._buffer is None:
            try:
                cache = os.sysconf("SC_LEVEL3_CACHE_SIZE")
            except (ValueError, OSError):
                cache = 0
            size = min(max(2 * cache, 16 << 20), 32 << 20)
            self._buffer = torch.zeros(size // 8, dtype=torch.int64)
        self._buffer.add_(1)

    def held(self) -> int:
        """See `Device`."""
        return 0

    def release(self) -> None:
        """What is freed is the system's at once where it is large."""

    def timed(self, call: Callable[[], Any], words: memoryview, done: int, sequence: int) -> Any:
        """See `Device`."""
        start = _clock()
        answer = call()
        self._inner = _clock() - start
        words[done] = sequence
        return answer

    def times(self) -> tuple[int, int, int]:
        """The processor has one clock here."""
        return self._inner, self._inner, 0

    def describe(self) -> dict[str, Any]:
        """See `Device`."""
        return {"kind": "cpu", "name": self.name, "flags": precision_flags()}


class CudaDevice:
    """One NVIDIA device."""

    kind = "cuda"

    def __init__(self, index: int, threads: int) -> None:
        torch.set_num_threads(max(1, threads))
        self.device = torch.device("cuda", index)
        torch.cuda.set_device(self.device)
        torch.cuda.init()
        self._properties = torch.cuda.get_device_properties(index)
        self.name = str(self._properties.name)
        self.missing: list[str] = []
        # Makes the context now, while nobody waits for it.
        torch.zeros(1, device=self.device)
        self.queue: Queue | None = None
        try:
            self.queue = Queue(Kernels(self.device), self.device)
        except (KernelsError, OSError, RuntimeError) as error:
            self.missing.append(f"queued timing: {error}")
        self._synchronize = torch.cuda.synchronize
        self._start, self._end, self._last = (torch.cuda.Event(enable_timing=True) for _ in range(3))
        event = torch.cuda.Event
        self._record, self._elapsed, self._wait = event.record, event.elapsed_time, event.synchronize
        self._inner = 0
        l2 = int(getattr(self._properties, "L2_cache_size", 0)) or 64 << 20
        self._flush_bytes = max(3 * l2, 64 << 20)
        self._buffer: torch.Tensor | None = None
        self._zero = torch.Tensor.zero_
        self._reset: Callable[[], int] | None = None
        try:
            self._reset = ctypes.CDLL("libcuda.so.1").cuCtxResetPersistingL2Cache
        except (OSError, AttributeError):
            self.missing.append("reset of persisting L2 lines")

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """On the device: what came with a request is the host's own already."""
        return tensor.to(self.device)

    def synchronize(self) -> None:
        """All streams of the device."""
        self._synchronize(self.device)

    def flush(self) -> None:
        """Writes three times the L2, and gives up lines that a kernel asked to persist."""
        if self._buffer is None:
            self._buffer = torch.empty(self._flush_bytes, dtype=torch.int8, device=self.device)
        if self._reset is not None:
            self._reset()
        self._zero(self._buffer)

    def held(self) -> int:
        """See `Device`."""
        return 0 if self._buffer is None else self._flush_bytes

    def release(self) -> None:
        """What torch keeps for its next allocations."""
        torch.cuda.empty_cache()

    def timed(self, call: Callable[[], Any], words: memoryview, done: int, sequence: int) -> Any:
        """See `Device`. `end` stands on the current stream; `last` after every stream is done: the gap is unjoined work."""
        begin = _clock()
        self._record(self._start)
        answer = call()
        self._record(self._end)
        self._synchronize(self.device)
        self._record(self._last)
        self._inner = _clock() - begin
        words[done] = sequence
        return answer

    def times(self) -> tuple[int, int, int]:
        """See `Device`; milliseconds of events as ns."""
        self._wait(self._last)
        device = int(self._elapsed(self._start, self._end) * 1e6)
        return self._inner, device, int(self._elapsed(self._end, self._last) * 1e6)

    def describe(self) -> dict[str, Any]:
        """See `Device`."""
        return {
            "kind": "cuda",
            "name": self.name,
            "capability": f"{self._properties.major}.{self._properties.minor}",
            "memory_bytes": int(self._properties.total_memory),
            "l2_flush_bytes": self._flush_bytes,
            "flags": precision_flags(),
        }


def open_device(name: str, threads: int) -> CpuDevice | CudaDevice:
    """`cpu`, `cuda` or `cuda:N`.

    @raises RuntimeError when it is not there.
    """
    if name == "cpu":
        return CpuDevice(threads)
    kind, _, index = name.partition(":")
    if kind != "cuda":
        raise RuntimeError(f"unknown device {name}")
    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no CUDA device")
    return CudaDevice(int(index or 0), threads)
