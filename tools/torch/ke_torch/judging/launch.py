"""The judge's side of the zygotes: starts them, asks for hosts, knows their processes, and ends them from outside."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]
_PASSED = (
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "CUDA_PATH",
    "TRITON_PTXAS_PATH",
    "NVIDIA_VISIBLE_DEVICES",
)


class LaunchError(Exception):
    """A host or a zygote could not be started: an infrastructure failure, not a candidate's."""


def environment(device: str, threads: int, extra: dict[str, str]) -> dict[str, str]:
    """What hosts see of the environment: nothing but this."""
    env = {
        "PATH": "/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PACKAGE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(max(1, threads)),
        "OMP_WAIT_POLICY": "passive",
        "CUDA_MODULE_LOADING": "LAZY",
    }
    if device == "cpu":
        env["TRITON_INTERPRET"] = "1"
        env["CUDA_VISIBLE_DEVICES"] = ""
    else:
        env.update({name: os.environ[name] for name in _PASSED if name in os.environ})
    return {**env, **extra}


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(w) for w in Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split()]
    return found


def _inner_pid(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf8").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return -1


def kill_tree(pid: int) -> None:
    """Ends a process with its children and its group."""
    for child in _children(pid):
        kill_tree(child)
    for target in (-pid, pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(target, signal.SIGKILL)


class Zygote:
    """One warm process, in the sandbox where there is one."""

    def __init__(self, sandbox: Sequence[str], env: dict[str, str], preload: Sequence[str], seconds: float = 180) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = ours
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        argv = [*sandbox, sys.executable, "-B", "-m", "ke_torch.hosting.zygote", str(theirs.fileno()), *preload]
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=self.errors,
            stderr=self.errors,
            env=env,
            cwd="/",
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        self.ended: dict[int, int] = {}
        self.started: dict[int, int] = {}
        self.next = 0
        self.lock = threading.RLock()
        self.hello: dict[str, Any] | None = None
        self.seconds = seconds

    def _fail(self, what: str) -> LaunchError:
        self.errors.seek(0)
        said = self.errors.read(4000).decode(errors="replace")
        return LaunchError(f"{what}: {said.strip()[-1500:]}")

    def receive(self, timeout: float) -> bool:
        """Takes one message; False when none came in time. Hosts are started from several threads."""
        with self.lock:
            return self._receive(timeout)

    def _receive(self, timeout: float) -> bool:
        ready, _, _ = select.select([self.channel], [], [], timeout)
        if not ready:
            return False
        data = self.channel.recv(65536)
        if not data:
            raise self._fail("the warm process ended")
        message = json.loads(data)
        if "ready" in message:
            self.hello = message
        elif "started" in message:
            self.started[int(message["id"])] = int(message["started"])
        elif "ended" in message:
            self.ended[int(message["ended"])] = int(message["status"])
        return True

    def ready(self) -> dict[str, Any]:
        """Waits until it has imported what it should."""
        deadline = time.monotonic() + self.seconds
        while self.hello is None:
            if time.monotonic() > deadline:
                raise self._fail(f"the warm process was not ready within {self.seconds:.0f} s")
            self.receive(1)
        return self.hello

    def fork(self, request: dict[str, Any], fds: Sequence[int], seconds: float = 20) -> tuple[int, int]:
        """A new host: its pid in the zygote's namespace, and in ours."""
        self.ready()
        with self.lock:
            self.next += 1
            own = self.next
            message = json.dumps({"op": "start", "id": own, **request}).encode()
            socket.send_fds(self.channel, [message], list(fds))
            deadline = time.monotonic() + seconds
            while own not in self.started:
                if time.monotonic() > deadline:
                    raise self._fail("no host was started")
                self._receive(0.5)
            inner = self.started.pop(own)
        return inner, self.outer(inner)

    def outer(self, inner: int) -> int:
        """The same process by our numbers: among all descendants of the program that we started."""
        for _ in range(50):
            waiting = [self.process.pid]
            while waiting:
                pid = waiting.pop()
                if pid != self.process.pid and _inner_pid(pid) == inner:
                    return pid
                waiting += _children(pid)
            while self.receive(0):
                pass
            if inner in self.ended:
                return -1
            time.sleep(0.002)
        raise self._fail("the host is not among the descendants of the sandbox")

    def status(self, inner: int) -> int | None:
        """How a host ended, as `wait` tells it; None while it runs."""
        while self.receive(0):
            pass
        return self.ended.get(inner)

    def end(self, inner: int) -> None:
        """Asks the zygote to end a host, and waits until it has."""
        with contextlib.suppress(OSError):
            self.channel.send(json.dumps({"op": "end", "pid": inner}).encode())
        deadline = time.monotonic() + 10
        while inner not in self.ended and time.monotonic() < deadline:
            self.receive(0.05)

    def close(self) -> None:
        """Ends it with everything that it started."""
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(3)
        kill_tree(self.process.pid)
        self.process.wait()
        self.errors.close()
