"""A queue of calls on the processor, for tests without a device: a gate waits in the host itself. Hosts get it by `preload`."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy
import torch

from ke_torch.boundary import control
from ke_torch.hosting import device, host

_U64 = (1 << 64) - 1


def _hash(x: Any) -> Any:
    x = numpy.uint64(x) if isinstance(x, int) else x
    with numpy.errstate(over="ignore"):
        x = (x ^ (x >> numpy.uint64(33))) * numpy.uint64(0xFF51AFD7ED558CCD)
        x = (x ^ (x >> numpy.uint64(33))) * numpy.uint64(0xC4CEB9FE1A85EC53)
        return x ^ (x >> numpy.uint64(33))


def _view(address: int, elements: int, width: int) -> Any:
    return numpy.frombuffer((ctypes.c_uint8 * (elements * width)).from_address(address), dtype=f"V{width}")


class FakeKernels:
    """The contents kernel of `ke_torch.hosting.kernels` in numpy."""

    def launch(self, name: str, _: int, __: int, *arguments: int) -> None:
        out, table, count, key_at, salt, group, elements = arguments
        width = int(name.removeprefix("ke_mix"))
        key = ctypes.c_uint64.from_address(key_at).value
        k = int(_hash((key + 1) & _U64))
        first = k % count
        second = (first + 1 + (k >> 32) % (count - 1)) % count if count > 1 else first
        draws = (ctypes.c_uint64 * count).from_address(table)
        a, b = _view(draws[first], elements, width), _view(draws[second], elements, width)
        rows = numpy.arange(elements, dtype=numpy.uint64) // numpy.uint64(group)
        with numpy.errstate(over="ignore"):
            pick = _hash(numpy.uint64(k ^ salt) + rows * numpy.uint64(0x9E3779B97F4A7C15)) & numpy.uint64(1)
        _view(out, elements, width)[:] = numpy.where(pick == 1, a, b)


class FakeQueue:
    """`ke_torch.hosting.queued.Queue` with the host as the device."""

    def __init__(self) -> None:
        self.kernels = FakeKernels()
        self.key = torch.zeros(1, dtype=torch.int64)
        self.words: Any = None
        self.begun = [0] * 64
        self.took = [0] * 64

    def set_key(self, key: int) -> None:
        self.key.fill_(key)

    def begin(self, count: int) -> None:
        pass

    def gate(self, call: int, limit_ns: int) -> None:
        sequence = self.words[control.COMMAND * 8]
        self.words[control.QUEUED * 8] = sequence
        end = time.monotonic() + limit_ns * 1e-9
        while self.words[control.RELEASE * 8] != sequence << 16 | call + 1 and time.monotonic() < end:
            pass
        self.key.fill_(self.words[control.KEY * 8])

    def null(self, call: int) -> None:
        pass

    def start(self, call: int) -> None:
        self.begun[call] = time.perf_counter_ns()

    def end(self, call: int) -> None:
        self.took[call] = time.perf_counter_ns() - self.begun[call]

    def over(self, call: int) -> None:
        self.words[control.REACHED * 8] = self.words[control.COMMAND * 8] << 16 | call + 1

    def give_up(self) -> None:
        pass

    def relay(self, words: memoryview, sequence: int, count: int, seconds: float) -> bool:
        return True

    def times(self, count: int) -> tuple[list[int], list[int]]:
        return self.took[:count], [1000] * count


_device, _host = device.CpuDevice.__init__, host.Host.__init__


def _with_queue(self: Any, threads: int) -> None:
    _device(self, threads)
    self.queue = FakeQueue()


def _with_words(self: Any, *arguments: Any) -> None:
    _host(self, *arguments)
    self.device.queue.words = self.words


device.CpuDevice.__init__ = _with_queue  # type: ignore[method-assign]
host.Host.__init__ = _with_words  # type: ignore[method-assign]
