"""A warm process: torch is imported, nothing is computed, the device is untouched. It forks a host for each request.

It knows no secret. A request is one message with the host's descriptors; it answers the child's pid, and later how the child
ended. What a child leaves behind (its folder, its own children) is removed here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from typing import Any

import torch

from . import confine, kernels

MAX_FDS = 8
PR_SET_CHILD_SUBREAPER = 36


def _preload(names: list[str]) -> list[str]:
    missing = []
    for name in names:
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    return missing


def _seed_triton() -> str:
    """What every process that compiles with Triton would do again: the hash of its own files, and its helper module.

    Answers the folder where that is, or nothing. The device is not touched.
    """
    if "triton" not in sys.modules or os.environ.get("TRITON_INTERPRET") == "1":
        return ""
    folder = tempfile.mkdtemp(prefix="ke-host-seed-")
    os.environ["TRITON_CACHE_DIR"] = folder
    try:
        importlib.import_module("triton.runtime.cache").triton_key()
        importlib.import_module("triton.backends.nvidia.driver").CudaUtils()
    except Exception as error:
        print(f"ke-zygote: Triton is not prepared: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    del os.environ["TRITON_CACHE_DIR"]
    return folder


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class Zygote:
    """Serves requests until the judge hangs up."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.folders: dict[int, str] = {}
        self.shared: tuple[str, str] = ("", "")
        self.seed = ""
        self.strangers = False

    def serve(self) -> None:
        """The loop."""
        signals, other = socket.socketpair()
        signals.setblocking(False)
        other.setblocking(False)
        signal.set_wakeup_fd(other.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self.channel, signals], [], [])
            if signals in ready:
                with contextlib.suppress(BlockingIOError):
                    while signals.recv(4096):
                        pass
                self.reap()
            if self.channel in ready:
                message, fds, _, _ = socket.recv_fds(self.channel, 65536, MAX_FDS)
                if not message:
                    break
                self.handle(json.loads(message), fds)
        for pid, folder in list(self.folders.items()):
            self.end(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            shutil.rmtree(folder, ignore_errors=True)
        self.unshare()

    def handle(self, request: dict[str, Any], fds: list[int]) -> None:
        """One request: start a host, or end one."""
        if request["op"] == "end":
            self.end(int(request["pid"]))
            return
        folder = tempfile.mkdtemp(prefix="ke-host-")
        if request["limits"]["uid"] != 0:
            os.chown(folder, request["limits"]["uid"], request["limits"]["uid"])
        if request.get("shared") and not request.get("cache"):
            request["cache"] = self.share(request["shared"], request["limits"]["uid"])
        if request.get("cache") and self.seed:
            self.sow(f"{request['cache']}/triton", request["limits"]["uid"])
        pid = os.fork()
        if pid == 0:
            self.child(request, fds, folder)
        for fd in fds:
            os.close(fd)
        self.folders[pid] = folder
        self.say({"started": pid, "id": request["id"]})

    def share(self, key: str, uid: int) -> str:
        """The folder that all hosts of one job have for what they compile; that of the job before is removed."""
        if self.shared[0] != key:
            self.unshare()
            self.shared = (key, tempfile.mkdtemp(prefix="ke-host-shared-"))
            if uid != 0:
                os.chown(self.shared[1], uid, uid)
        return self.shared[1]

    def sow(self, cache: str, uid: int) -> None:
        """Puts what is there for all into a cache that is new."""
        if os.path.exists(cache):
            return
        with contextlib.suppress(OSError, shutil.Error):
            shutil.copytree(self.seed, cache)
            for place, _, files in os.walk(cache):
                for path in (place, *(os.path.join(place, name) for name in files)):
                    if uid != 0:
                        os.chown(path, uid, uid)

    def unshare(self) -> None:
        """Removes it."""
        if self.shared[1]:
            shutil.rmtree(self.shared[1], ignore_errors=True)
        self.shared = ("", "")

    def child(self, request: dict[str, Any], fds: list[int], folder: str) -> None:
        """Becomes the host; never returns."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            high = [os.dup2(fd, 100 + k) for k, fd in enumerate(fds)]
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(high[-1], 1)
            os.dup2(high[-1], 2)
            for k, fd in enumerate(high[:-1]):
                os.dup2(fd, 3 + k, inheritable=False)
            os.closerange(3 + len(high) - 1, 4096)
            os.chdir(folder)
            cache = request.get("cache") or folder
            os.environ.update({"TMPDIR": folder, "HOME": folder})
            os.environ.update({"TRITON_CACHE_DIR": f"{cache}/triton", "TORCH_EXTENSIONS_DIR": f"{cache}/extensions"})
            # A kernel's edited text in place of what Triton would make of the source: laid out by `ke_torch.compile`.
            if os.path.isdir(f"{cache}/override"):
                os.environ.update({"TRITON_KERNEL_OVERRIDE": "1", "TRITON_OVERRIDE_DIR": f"{cache}/override"})
            tempfile.tempdir = folder
            program = importlib.import_module(str(request.get("program", "ke_torch.hosting.host")))
            code = program.run(request, folder)
        except BaseException as error:
            with contextlib.suppress(Exception):
                print(f"ke-host: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def reap(self) -> None:
        """Collects what has ended and tells about hosts."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            folder = self.folders.pop(pid, None)
            if folder is not None:
                self.leftovers()
                shutil.rmtree(folder, ignore_errors=True)
                self.say({"ended": pid, "status": status})

    def leftovers(self) -> None:
        """What hosts started and left behind has come to this process as its child."""
        for child in _children(os.getpid()):
            if child not in self.folders:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)

    def end(self, pid: int) -> None:
        """Kills a host with its group; its end is told by `reap`."""
        if pid not in self.folders:
            return
        for target in (-pid, pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target, signal.SIGKILL)

    def say(self, message: dict[str, Any]) -> None:
        """Tells the judge; a judge that is gone is no fault."""
        with contextlib.suppress(OSError):
            self.channel.send(json.dumps(message).encode())


def main() -> int:
    """``python -m ke_torch.hosting.zygote FD MODULE…``: descriptor of the channel, and what to import beforehand."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    confine.die_with_parent()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Every thread pool that exists at a fork is broken in the child.
    torch.set_num_threads(1)
    missing = _preload(sys.argv[2:])
    if torch.cuda.is_initialized():
        print(f"ke-zygote: one of {sys.argv[2:]} opened the device, which no child can then use", file=sys.stderr, flush=True)
        return 1
    zygote = Zygote(channel)
    zygote.seed = _seed_triton()
    if torch.version.cuda and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        kernels.prepare(kernels.architectures())
    # What is there now is no garbage of a child's: it looks through its own objects only, and shares these pages.
    gc.collect()
    gc.freeze()
    zygote.say({"ready": os.getpid(), "missing": missing, "torch": torch.__version__})
    zygote.serve()
    shutil.rmtree(zygote.seed, ignore_errors=True)
    # Nothing is left to do, and taking torch down in good order takes a second.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
