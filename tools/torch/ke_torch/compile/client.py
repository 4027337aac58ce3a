"""The trusted side of a confined worker: starts one from a warm process, takes its frames, ends it in time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..judging.launch import Zygote, environment
from ..judging.process import NO_MEMORY, SIGNALS, TEXT_CAP
from ..judging.replies import HostFailure
from .frames import FrameError, Reader

PROGRAM = "ke_torch.compile.worker"
# Whatever a worker would import by and by: here once, and also where its user does not see Python's own folder.
PRELOAD = (
    "triton", "triton.compiler", "triton.language.extra.libdevice", "triton.tools.tensor_descriptor", "numpy.random",
    "torch._refs", "torch._decomp", "torch._meta_registrations", "torch._subclasses.fake_tensor", "torch._subclasses.fake_impls",
    "torch.fx.experimental.symbolic_shapes", "torch._dynamo", "cProfile", PROGRAM, "ke_torch.compile.triton_task",
    "ke_torch.compile.tools_task",
)  # fmt: skip
LIMITS = {"address_space": 24 << 30, "cpu_seconds": 600, "file_bytes": 2 << 30, "processes": 0}
OnFrame = Callable[[dict[str, Any], bytes], None]


class Warm:
    """Warm processes with torch and triton imported, kept from job to job: one for each sandbox."""

    def __init__(self) -> None:
        self._zygotes: dict[tuple[str, ...], Zygote] = {}

    def get(self, sandbox: Sequence[str]) -> Zygote:
        """The warm process in this sandbox."""
        key = tuple(sandbox)
        found = self._zygotes.get(key)
        if found is not None and found.process.poll() is not None:
            found.close()
            found = None
        if found is None:
            # No device is seen: nothing is launched, and the warm process must not start a driver.
            env = environment("cuda", 1, {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "0"})
            found = self._zygotes[key] = Zygote(sandbox, env, PRELOAD)
        return found

    def discard(self, zygote: Zygote) -> None:
        """Gives up a warm process that is in no good state."""
        self._zygotes = {k: z for k, z in self._zygotes.items() if z is not zygote}
        zygote.close()

    def close(self) -> None:
        """Ends all."""
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()


def _memory(data: bytes) -> int:
    fd = os.memfd_create("ke-request", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


class _Pipe:
    """One pipe from the worker."""

    def __init__(self) -> None:
        self.fd, self.writer = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_NONBLOCK)
        self.open = True

    def read(self) -> bytes:
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return b""
        self.open = bool(data)
        return data


def run_worker(
    zygote: Zygote, request: dict[str, Any], confinement: dict[str, Any], seconds: float, on_frame: OnFrame
) -> tuple[list[str], str]:
    """One request in a worker of its own.

    @returns which limits held, and what it printed.
    @raises HostFailure when it did not end by itself with its closing frame; LaunchError when it could not be started.
    """
    frames, text, reader = _Pipe(), _Pipe(), Reader()
    said, held, ended = b"", [], False
    source = _memory(json.dumps(request).encode())
    inner = -1
    try:
        inner, _ = zygote.fork({"program": PROGRAM, **confinement}, [source, frames.writer, text.writer])
        for fd in (frames.writer, text.writer, source):
            os.close(fd)
        deadline = time.monotonic() + seconds
        status = None
        while True:
            waiting = [p.fd for p in (frames, text) if p.open]
            ready = select.select(waiting, [], [], 0.05)[0] if waiting else []
            if text.fd in ready:
                said = (said + text.read())[:TEXT_CAP]
            if frames.fd in ready:
                for header, payload in reader.feed(frames.read()):
                    if header.get("kind") == "confined":
                        held = [str(h)[:40] for h in header.get("held", [])][:16]
                    elif header.get("kind") == "end":
                        ended = True
                    else:
                        on_frame(header, payload)
            if ready:
                continue
            if status is not None:
                break
            status = zygote.status(inner)
            if status is None and time.monotonic() > deadline:
                raise HostFailure("compile_timeout", f"not done within {seconds:.0f} s; what it printed last: {_tail(said)}")
        if not ended:
            raise _failure(status, _tail(said))
        return held, said.decode(errors="replace")
    except FrameError as error:
        raise HostFailure("protocol_violation", f"what the worker wrote cannot be read: {error}") from error
    finally:
        if inner >= 0 and zygote.status(inner) is None:
            zygote.end(inner)
        for fd in {frames.fd, text.fd, *(() if inner >= 0 else (frames.writer, text.writer, source))}:
            with contextlib.suppress(OSError):
                os.close(fd)


def _tail(said: bytes) -> str:
    return said.decode(errors="replace").strip()[-1500:]


def _failure(status: int, said: str) -> HostFailure:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    left = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    code = SIGNALS.get(number, "killed_by_signal") if number else "exited_early"  # type: ignore[call-overload]
    if any(word in said for word in NO_MEMORY):
        code = "out_of_memory"
    return HostFailure(str(code), f"the process ended before it was done: {said}", left, number)
