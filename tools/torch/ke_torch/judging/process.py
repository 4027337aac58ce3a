"""One host's process as the judge knows it: its descriptors, whether it lives, what it printed, how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from typing import Any

from ..boundary import control
from .launch import Zygote
from .replies import HostFailure

TEXT_CAP = 65536
# Of a host's processor time what may have been used when a job begins.
WORN = 0.25
SIGNALS = {
    signal.SIGSEGV: "segfault", signal.SIGBUS: "segfault", signal.SIGFPE: "arithmetic_fault", signal.SIGILL: "illegal_instruction",
    signal.SIGSYS: "forbidden_syscall", signal.SIGXFSZ: "file_too_large", signal.SIGXCPU: "cpu_time_exceeded",
    signal.SIGABRT: "aborted", signal.SIGKILL: "killed",
}  # fmt: skip

# What a process says that had too little.
NO_MEMORY = ("not enough memory", "out of memory", "MemoryError", "can't allocate memory", "Cannot allocate memory")


def start_key(request: dict[str, Any]) -> str:
    """What a host was started with: two with the same key are alike until they load something."""
    return json.dumps(request, sort_keys=True)


class HostProcess:
    """A child of a zygote, with the page, the two files and the pipe that it shares with the judge."""

    def __init__(self, zygote: Zygote, request: dict[str, Any]) -> None:
        self.zygote = zygote
        self.started_with, self.reusable = start_key(request), False
        self.processor_seconds = float(request["limits"]["cpu_seconds"])
        self.control_fd = control.Control.create()
        self.page = control.Control(self.control_fd)
        self.words = self.page.words()
        self.inputs_fd = os.memfd_create("ke-inputs", os.MFD_CLOEXEC)
        self.outputs_fd = os.memfd_create("ke-outputs", os.MFD_CLOEXEC)
        self.text_fd, writer = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(self.text_fd, fcntl.F_SETFL, os.O_NONBLOCK)
        self.text, self.text_total = b"", 0
        readable = os.open(f"/proc/self/fd/{self.inputs_fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.inner, self.pid = zygote.fork(request, [self.control_fd, readable, self.outputs_fd, writer])
        finally:
            os.close(writer)
            os.close(readable)
        self.closed = False

    def alive(self) -> bool:
        """Whether it still runs; takes what it printed, so that it does not wait for us."""
        self.drain()
        return self.pid > 0 and self.zygote.status(self.inner) is None

    def drain(self) -> str:
        """What it printed so far, capped."""
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.text_fd, 65536):
                self.text_total += len(data)
                self.text += data[: max(0, TEXT_CAP - len(self.text))]
        return self.text.decode(errors="replace")

    def _signal(self, number: int) -> None:
        if self.pid > 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def stopped(self) -> None:
        """Stops it until its next turn."""
        self._signal(signal.SIGSTOP)

    def failure(self, timed_out: bool, what: str) -> HostFailure:
        """Why there is no answer."""
        status = None if timed_out else self.zygote.status(self.inner)
        if not timed_out and status is None:
            time.sleep(0.01)
            status = self.zygote.status(self.inner)
        if status is None:
            return HostFailure("call_timeout" if what == "call" else "load_timeout", f"no answer to {what} in time")
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = SIGNALS.get(signal.Signals(number), "killed_by_signal") if number else "exited_early"
        left = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        return HostFailure(code, f"the process ended during {what}", left, number)

    def worn(self) -> bool:
        """Whether it has used so much of its processor time that another job may be more than is left."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return True
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0 < self.processor_seconds * WORN < used

    def kill(self) -> None:
        """Begins to end it; `close` has to follow."""
        if not self.closed:
            self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Ends it."""
        if self.closed:
            return
        self.closed = True
        if self.zygote.status(self.inner) is None:
            if self.pid > 0:
                self._signal(signal.SIGKILL)
            self.zygote.end(self.inner)
        self.drain()
        self.words.release()
        self.page.close()
        for fd in (self.control_fd, self.inputs_fd, self.outputs_fd, self.text_fd):
            os.close(fd)
