"""Queued calls: a host enqueues many calls behind gates, so that the device never waits for the host, and the judge then lets them
through one at a time. Each call has contents of its own, which are made on the device when its gate opens.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import torch

from ..boundary import control
from .answers import settled
from .kernels import Kernels

RELEASED, KEY, EXPIRED, DONE = range(4)
_monotonic, _copy = time.monotonic, torch.Tensor.copy_


class Queue:
    """The gates, the events and the page of one process."""

    def __init__(self, kernels: Kernels, device: torch.device) -> None:
        self.kernels, self.device = kernels, device
        self._pinned = torch.zeros(8, dtype=torch.int64, pin_memory=True)
        self._address = self._pinned.data_ptr()
        self._page = (ctypes.c_uint64 * 8).from_address(self._address)
        self.key = torch.zeros(1, dtype=torch.int64, device=device)
        self._key_at = self.key.data_ptr()
        self._starts: list[Any] = []
        self._ends: list[Any] = []
        self._nulls: list[tuple[Any, Any]] = []
        self._event = torch.cuda.Event
        self._record, self._elapsed = torch.cuda.Event.record, torch.cuda.Event.elapsed_time
        self._base = 0

    def set_key(self, key: int) -> None:
        """The key at once, for a call that is not queued."""
        self.key.fill_(key)

    def begin(self, count: int) -> None:
        """Makes ready for so many calls."""
        self._base = int(self._page[DONE])
        self._page[EXPIRED] = 0
        while len(self._starts) < count:
            self._starts.append(self._event(enable_timing=True))
            self._ends.append(self._event(enable_timing=True))
            self._nulls.append((self._event(enable_timing=True), self._event(enable_timing=True)))

    def gate(self, call: int, limit_ns: int) -> None:
        """Enqueues the gate of a call."""
        self.kernels.launch("ke_gate", 1, 1, self._address, self._key_at, self._base + call + 1, limit_ns)

    def null(self, call: int) -> None:
        """Enqueues a kernel that does nothing, timed as the call is: what is between two events in this process anyway."""
        self._record(self._nulls[call][0])
        self.kernels.launch("ke_null", 1, 32)
        self._record(self._nulls[call][1])

    def start(self, call: int) -> None:
        """Enqueues the beginning of what is timed."""
        self._record(self._starts[call])

    def end(self, call: int) -> None:
        """Enqueues its end."""
        self._record(self._ends[call])

    def over(self, call: int) -> None:
        """Enqueues the word that the call is over."""
        self.kernels.launch("ke_over", 1, 1, self._address, self._base + call + 1)

    def give_up(self) -> None:
        """Opens all gates."""
        self._page[EXPIRED] = 1

    def relay(self, words: memoryview, sequence: int, count: int, seconds: float) -> bool:
        """Carries releases to the device and what is over to the judge; False where a gate did not wait any longer."""
        page, told, given, turns = self._page, 0, 0, 0
        reached, release, key = control.REACHED * 8, control.RELEASE * 8, control.KEY * 8
        end = _monotonic() + seconds
        while True:
            done = page[DONE] - self._base
            if done != told:
                told = done
                words[reached] = sequence << 16 | done
                if done >= count:
                    return not page[EXPIRED]
            wanted = words[release]
            if wanted != given and wanted >> 16 == sequence:
                given = wanted
                page[KEY] = words[key]
                page[RELEASED] = self._base + (wanted & 0xFFFF)
            turns += 1
            if turns & 4095 == 0 and _monotonic() > end:
                page[EXPIRED] = 1
            if page[EXPIRED]:
                return False

    def times(self, count: int) -> tuple[list[int], list[int]]:
        """Of the calls and of the kernels that do nothing, by the device's own events, ns."""
        calls = [int(self._elapsed(self._starts[k], self._ends[k]) * 1e6) for k in range(count)]
        return calls, [int(self._elapsed(a, b) * 1e6) for a, b in self._nulls[:count]]


class Ring:
    """Places for the answers of queued calls, made before they begin and used again."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, int], torch.Tensor] = {}

    def reserve(self, count: int, like: list[torch.Tensor]) -> None:
        """Places for `count` answers of these shapes."""
        for k in range(count):
            for n, tensor in enumerate(like):
                self._slot(k, n, tensor)

    def _slot(self, call: int, index: int, like: torch.Tensor) -> torch.Tensor:
        found = self._slots.get((call, index))
        if found is None or found.shape != like.shape or found.dtype != like.dtype:
            found = self._slots[(call, index)] = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        return found

    def copier(self, call: int) -> Callable[[int, torch.Tensor], torch.Tensor]:
        """What copies the answer's tensors as they are at this place in the stream."""

        def copy(index: int, tensor: torch.Tensor) -> torch.Tensor:
            found = settled(tensor)
            return _copy(self._slot(call, index, found), found)

        return copy
