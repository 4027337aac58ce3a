"""The control page between judge and host: words for the handshake, and two places for short JSON.

The host can write any byte of it, so the judge believes nothing read there except as a hint: times are taken with its own
clock, answers are compared in its own memory.
"""

from __future__ import annotations

import json
import mmap
import os
import time
from collections.abc import Callable
from typing import Any

SIZE = 1 << 20
REQUEST_AT, REQUEST_MAX = 4096, 512 * 1024 - 4096
ANSWER_AT, ANSWER_MAX = 512 * 1024, 512 * 1024

# Words, each on a cache line of its own.
COMMAND, ARMED, KEY, PATCHED, GO, DONE, ANSWERED, STATE, INNER_NS, DEVICE_NS, TAIL_NS = range(11)
REQUEST_BYTES, ANSWER_BYTES = 11, 12
# Of queued calls: all are enqueued; the one that may go; the one that is over. The two last say a sequence number and a call.
QUEUED, RELEASE, REACHED = 13, 14, 15

STATE_STARTING, STATE_CONFINED, STATE_READY = 0, 1, 2
MASK = (1 << 64) - 1
# GO says the sequence number for "take the last part of the contents", and this bit with it for "call".
SECOND = 1 << 63


class Control:
    """A mapped control page."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)
        self._words = memoryview(self._map)[:4096].cast("Q")

    @staticmethod
    def create() -> int:
        """A new page as a file that nobody can shrink (which would be a fault in whoever looks)."""
        fd = os.memfd_create("ke-control", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, SIZE)
        import fcntl

        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd

    def get(self, word: int) -> int:
        """The word's value now."""
        return int(self._words[word * 8])

    def set(self, word: int, value: int) -> None:
        """Writes a word."""
        self._words[word * 8] = value & MASK

    def words(self) -> memoryview:
        """All words, for loops that must not wait for a method call; word w stands at index 8 * w."""
        return self._words

    def put_request(self, request: dict[str, Any]) -> None:
        """Places the request that the next command is about."""
        self._put(REQUEST_AT, REQUEST_MAX, REQUEST_BYTES, request)

    def put_answer(self, answer: dict[str, Any]) -> None:
        """Places a host's answer."""
        self._put(ANSWER_AT, ANSWER_MAX, ANSWER_BYTES, answer)

    def get_request(self) -> dict[str, Any]:
        """The request as the host reads it."""
        return self._get(REQUEST_AT, REQUEST_MAX, REQUEST_BYTES)

    def get_answer(self) -> dict[str, Any]:
        """A host's answer.

        @raises ValueError when there is no JSON object there.
        """
        return self._get(ANSWER_AT, ANSWER_MAX, ANSWER_BYTES)

    def _put(self, at: int, most: int, word: int, value: dict[str, Any]) -> None:
        data = json.dumps(value, separators=(",", ":")).encode()
        if len(data) > most:
            raise ValueError(f"{len(data)} bytes of JSON; at most {most} are carried")
        self._map[at : at + len(data)] = data
        self.set(word, len(data))

    def _get(self, at: int, most: int, word: int) -> dict[str, Any]:
        size = min(self.get(word), most)
        try:
            value = json.loads(self._map[at : at + size])
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return value

    def close(self) -> None:
        """Unmaps it."""
        self._words.release()
        self._map.close()


def spin_until(words: memoryview, word: int, value: int, alive: Callable[[], bool], deadline: float, spin_s: float = 0.02) -> bool:
    """Waits until a word has the value: first turning, then asleep in short pieces. False when it will not come."""
    at, end = word * 8, time.monotonic() + spin_s
    while True:
        for _ in range(2000):
            if words[at] == value:
                return True
        now = time.monotonic()
        if now > deadline:
            return False
        if now > end:
            if not alive():
                return bool(words[at] == value)
            time.sleep(0.0002 if now - end < 1 else 0.002)
