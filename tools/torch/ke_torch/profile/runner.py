"""The trusted side of a profiled process: its folder, its start in the sandbox, its end in time, and what it left."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..boundary import wire
from ..judging.draws import Draw
from ..judging.job import Job
from ..judging.launch import environment
from ..judging.process import TEXT_CAP
from ..judging.session import CPU_ADDRESS_SPACE, LIMITS, Session

MAX_FILE = 128 << 20


@dataclass(frozen=True)
class Ran:
    """How a process ended, and what it printed."""

    code: int
    timed_out: bool
    text: str


def lay(session: Session, draw: Draw, workload: Any, folder: Path, calls: int) -> None:
    """Writes what a candidate is made from: its files, a constructor's arguments, weights, inputs."""
    job = session.job
    assert job.candidate is not None
    warm = session.warm
    files = job.candidate.files
    blobs = [torch.frombuffer(bytearray(d), dtype=torch.uint8) if d else torch.empty(0, dtype=torch.uint8) for _, d in files]
    groups = {"files": blobs, "init": warm.init.tensors, "weights": warm.weights.tensors, "inputs": draw.tensors}
    fd = os.open(folder / "tensors.bin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        wire.write_tensors(fd, [t.detach().cpu() for group in groups.values() for t in group])
    finally:
        os.close(fd)
    request = {
        "device": job.device, "threads": job.threads, "subject": job.candidate.subject, "files": [n for n, _ in files],
        "counts": {name: len(group) for name, group in groups.items()}, "init": warm.init.tree, "where": warm.where,
        "names": warm.weights.names, "tree": draw.tree, "dtype": job.dtype, "seed": session.build_seed, "backward": job.backward,
        "destinations": workload.destinations, "cold": job.cache == "cold", "calls": calls, "limits": inner_limits(job),
    }  # fmt: skip
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf8")
    path.chmod(0o644)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    if job.uid != 0:
        os.chown(out, job.uid, job.uid)


def _limits(job: Job) -> dict[str, int]:
    limits = {**LIMITS, **job.limits}
    if job.device == "cpu":
        limits["address_space"] = limits["address_space"] or CPU_ADDRESS_SPACE
    else:
        limits["address_space"] = 0
    return limits


def inner_limits(job: Job) -> dict[str, Any]:
    """What the process puts on itself before it loads anything; its user it has already."""
    return {
        **_limits(job), "uid": 0, "allow_processes": job.allow_processes, "allow_unix_sockets": job.device != "cpu",
    }  # fmt: skip


def run(job: Job, way: str, wrap: Sequence[str], folder: Path, seconds: float) -> Ran:
    """Runs `once.py` under `wrap` (a profiler's command line, or nothing) and waits for it."""
    out = folder / "out"
    cache = job.candidate_cache or str(out)
    # The interpreter of kernels is a program of the processor; everything else is seen on the device.
    extra = {"TMPDIR": str(out), "HOME": str(out), "TRITON_CACHE_DIR": f"{cache}/triton",
             "TORCH_EXTENSIONS_DIR": f"{cache}/extensions"}  # fmt: skip
    limits = json.dumps({**_limits(job), "uid": job.uid})
    python = [sys.executable, "-B", "-m"]
    inner = [*wrap, *python, "ke_torch.profile.once", way, str(folder)]
    argv = [*job.sandbox, *python, "ke_torch.profile.enter", limits, "--", *inner]
    kind = "cpu" if job.device == "cpu" else "cuda"
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env=environment(kind, job.threads, extra), cwd="/",
    )  # fmt: skip
    assert process.stdout is not None
    text, end, timed_out = b"", time.monotonic() + seconds, False
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                timed_out = True
                break
            if not selector.select(min(left, 1.0)):
                # What it started may hold the pipe open after it.
                if process.poll() is not None:
                    break
                continue
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            text = (text + data)[-TEXT_CAP:]
    with contextlib.suppress(subprocess.TimeoutExpired):
        if not timed_out:
            process.wait(max(0.1, end - time.monotonic()))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    return Ran(process.wait(), timed_out, text.decode(errors="replace"))


def read(path: Path, limit: int = MAX_FILE) -> bytes | None:
    """A file that untrusted work left: a regular one, never through a link, of bounded size."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        return file.read(limit)


def result(folder: Path, way: str) -> dict[str, Any]:
    """What the process says about itself; an error where it said nothing."""
    data = read(folder / "out" / f"{way}-result.json", 1 << 20)
    try:
        found = json.loads(data) if data is not None else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("ok"), bool):
        return {"ok": False, "kind": "ended", "error": ""}
    return found
