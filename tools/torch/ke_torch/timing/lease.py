"""What a timing has to itself: the device, and the judge's processor."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..judging.client import HostClient
from ..judging.session import Session


@contextmanager
def lease(session: Session) -> Iterator[None]:
    """One timing on a device at a time, where the job names a lock."""
    path = session.job.lock
    if path is None:
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            session.emit("waiting")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def own_processor() -> Iterator[None]:
    """The judge on one processor and the hosts on the others: neither waits for the other's turn. Alone where there is one only."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        yield
        return
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def keep_off(host: HostClient) -> None:
    """The host runs on the processors that are not the judge's."""
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    if others:
        with suppress(OSError):
            os.sched_setaffinity(host.pid, others)
