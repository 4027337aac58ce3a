"""CUDA and C++ candidates, the trusted side: built once by content in a confined worker, handed to hosts as bytes.

The compiler works in a private folder that is gone afterwards, as the candidate's user and in its sandbox: a source can include
what its candidate could read, and no more. What came of it is kept in a folder named by everything it depends on, written whole or
not at all.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..judging.client import HostFailure
from ..judging.launch import Zygote
from .build_task import ENTRY, SPACE, compiler_of
from .client import LIMITS, run_worker
from .resources import Diagnostic, parse_diagnostics

MODULE = "candidate.so"


class BuildError(Exception):
    """The source does not build; `diagnostics` have the candidate's own lines."""

    def __init__(self, message: str, diagnostics: list[Diagnostic], text: str = "") -> None:
        super().__init__(message)
        self.message, self.diagnostics, self.text = message, diagnostics, text


class MissingCompiler(Exception):
    """There is no compiler for this language here; says how to get one."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(reason)
        self.what, self.reason = what, reason


@dataclass(frozen=True)
class Request:
    """What is built: `language` is `cuda` or `cpp`, `arch` as nvcc names it (empty for C++)."""

    source: str
    language: str
    arch: str = ""
    flags: tuple[str, ...] = ()


@dataclass
class Built:
    """A shared object; `cached` where it was there already."""

    data: bytes
    digest: str
    cached: bool
    seconds: float
    tool: str = ""
    warnings: list[Diagnostic] = field(default_factory=list)


def digest_of(request: Request) -> str:
    """A name for everything that the shared object depends on."""
    tool = compiler_of(request.language)
    parts: list[str] = [request.source, request.language, request.arch, *request.flags, torch.__version__, str(torch.version.cuda)]
    if tool is not None:
        found = os.stat(tool)
        parts += [os.path.realpath(tool), str(found.st_size), str(found.st_mtime_ns)]
    if any("native" in flag for flag in request.flags):
        with contextlib.suppress(OSError):
            parts.append(Path("/proc/cpuinfo").read_text(encoding="utf8").split("\n\n")[0].split("flags", 1)[-1].split("\n")[0])
    parts.append(hashlib.sha256(Path(__file__).with_name("build_task.py").read_bytes()).hexdigest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One builder of this content at a time; the others find what it made."""
    with open(path, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kept(place: Path) -> tuple[bytes, str] | None:
    try:
        told = json.loads((place / "built.json").read_text(encoding="utf8"))
        data = (place / MODULE).read_bytes()
    except (OSError, ValueError):
        return None
    # A file that a crash or a full disk cut short is built anew.
    return (data, str(told["tool"])) if hashlib.sha256(data).hexdigest() == told["sha256"] else None


def _keep(cache: Path, digest: str, built: Built) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{digest}-", dir=cache))
    try:
        (work / MODULE).write_bytes(built.data)
        told = {"sha256": hashlib.sha256(built.data).hexdigest(), "tool": built.tool}
        (work / "built.json").write_text(json.dumps(told), encoding="utf8")
        place = cache / digest
        if place.exists():
            shutil.rmtree(place, ignore_errors=True)
        os.rename(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def build(request: Request, zygote: Zygote, limits: dict[str, Any], seconds: float, cache: Path | None = None) -> Built:
    """The shared object of a source, found in `cache` or built now in a worker of `zygote`.

    @param limits the candidate's own (its user among them); compilers need processes, so these are allowed to the worker.
    @raises BuildError, MissingCompiler, or HostFailure (`compile_timeout`, …) when the compiler did not end by itself.
    """
    if cache is None:
        return _build(request, zygote, limits, seconds, "")
    digest = digest_of(request)
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = _kept(cache / digest)
    if found is None:
        with _alone(cache / f"{digest}.lock"):
            found = _kept(cache / digest)
            if found is None:
                built = _build(request, zygote, limits, seconds, digest)
                _keep(cache, digest, built)
                return built
    return Built(found[0], digest, True, 0.0, found[1])


def _build(request: Request, zygote: Zygote, limits: dict[str, Any], seconds: float, digest: str) -> Built:
    data = b""
    state: dict[str, Any] = {}
    name = "candidate.cu" if request.language == "cuda" else "candidate.cpp"

    def frame(header: dict[str, Any], payload: bytes) -> None:
        nonlocal data
        kind = header.get("kind")
        if kind == "artifact" and header.get("type") == "module":
            data = payload
        elif kind in ("assembled", "missing", "exception", "tool"):
            state[str(kind)] = header

    asked = {"task": "build", "language": request.language, "arch": request.arch, "flags": list(request.flags),
             "data": base64.b64encode(request.source.encode()).decode()}  # fmt: skip
    confinement = {"limits": {**LIMITS, **limits, "allow_processes": True, "allow_unix_sockets": False}, "cache": None}
    start = time.monotonic()
    run_worker(zygote, asked, confinement, seconds, frame)
    if "missing" in state:
        raise MissingCompiler(str(state["missing"].get("what")), str(state["missing"].get("reason", ""))[:1000])
    if "exception" in state:
        told = state["exception"]
        raise HostFailure("exception", f"{told.get('name')}: {told.get('message')}"[:2000])
    said = str(state.get("assembled", {}).get("said", ""))
    last = request.source.count("\n") + 1
    found = [d for d in parse_diagnostics(said, {name: name}) if d.file != name or d.line is None or d.line <= last]
    if not state.get("assembled", {}).get("ok") or not data:
        raise BuildError(*_complaint(found, said, name))
    version = state.get("tool", {})
    tool = f"{version.get('name')} {' '.join(str(v) for v in version.get('version', []))}"[:300]
    return Built(data, digest, False, time.monotonic() - start, tool, [d for d in found if d.file == name])


def _complaint(found: list[Diagnostic], said: str, name: str) -> tuple[str, list[Diagnostic], str]:
    errors = [d for d in found if d.severity == "error"]
    # Errors of headers that the source caused come first; the candidate's own line says more.
    own = [d for d in errors if d.file == name] or errors
    lines = [f"{d.file or name}:{d.line or '?'}: {d.message}" for d in own[:8]]
    if not lines:
        linker = [line for line in said.splitlines() if "undefined" in line or "ld:" in line or "error" in line]
        lines = linker[:8] or said.strip().splitlines()[-8:] or ["the compiler said nothing"]
    return "\n".join(lines)[:3000], own + [d for d in errors if d not in own], said[-8000:]


__all__ = ["ENTRY", "SPACE", "BuildError", "Built", "MissingCompiler", "Request", "build", "digest_of"]
