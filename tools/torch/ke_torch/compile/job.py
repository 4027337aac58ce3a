"""The compile job: one JSON object, checked field by field. README.md tells every field."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats import Candidate, Problem
from ..judging.job import JobError, _text, read_candidate, read_problem
from .arch import Arch, parse_arch

ABSTRACTIONS = ("triton", "cuda", "assembly")
TYPES = ("ttir", "ttgir", "llir", "ptx", "cubin", "sass", "amdgcn", "hsaco")


@dataclass(frozen=True)
class CompileJob:
    """See README.md."""

    abstraction: str
    arch: Arch
    source: str | None
    folder: Path
    problem: Problem | None = None
    candidate: Candidate | None = None
    workloads: tuple[str, ...] = ()
    kernels: tuple[dict[str, Any], ...] = ()
    replace: dict[str, str] | None = None
    configs: str = "first"
    tensors: str = "auto"
    most: int = 64
    dtype: str | None = None
    backward: bool = False
    flags: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = TYPES
    hardware: dict[str, float] = field(default_factory=dict)
    sandbox: tuple[str, ...] = ()
    uid: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    seconds: float = 120


_KNOWN = {
    "abstraction", "arch", "source", "path", "name", "entry", "problem", "workloads", "kernels", "replace", "configs", "tensors",
    "most", "dtype", "backward", "flags", "artifacts", "hardware", "sandbox", "uid", "limits", "seconds", "folder",
}  # fmt: skip


def _one_of(value: Any, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise JobError(f"{what} is one of {', '.join(allowed)}")
    return str(value)


def _replace(value: Any, arch: Arch) -> dict[str, str]:
    kind = "ptx" if arch.backend == "cuda" else "amdgcn"
    if not isinstance(value, dict) or set(value) - {"kernel", kind} or not isinstance(value.get(kind), str):
        raise JobError(f"replace is an object of kernel (its name) and {kind} (the whole text) for {arch.name}")
    return {"kernel": str(value.get("kernel", "")), "type": kind, "text": value[kind]}


def _kernels(value: Any) -> tuple[dict[str, Any], ...]:
    allowed = {"kernel", "signature", "constexprs", "num_warps", "num_stages", "num_ctas", "options"}
    for one in value:
        if not isinstance(one, dict) or set(one) - allowed or not isinstance(one.get("signature"), dict) or "kernel" not in one:
            raise JobError(f"kernels are objects of {', '.join(sorted(allowed))}; kernel and signature are needed")
    return tuple(value)


def read_compile_job(value: Any) -> CompileJob:
    """The job of its JSON.

    @raises JobError, FormatError or ArchError, saying what is wrong.
    """
    if not isinstance(value, dict):
        raise JobError("a job is an object")
    if unknown := set(value) - _KNOWN:
        raise JobError(f"unknown fields: {', '.join(sorted(unknown))}")
    abstraction = _one_of(value.get("abstraction"), ABSTRACTIONS, "abstraction")
    arch = parse_arch(str(value.get("arch", "")))
    if abstraction == "cuda" and arch.backend != "cuda":
        raise JobError(f"nvcc does not compile for {arch.name}")
    if "folder" not in value:
        raise JobError("folder, where artifacts are written, is needed")
    replace = _replace(value["replace"], arch) if value.get("replace") is not None else None
    if abstraction == "assembly":
        if replace is None:
            raise JobError("abstraction assembly needs replace, with the text")
        source = None
    else:
        source, _ = _text(value, "source")
    try:
        kernels = _kernels(value.get("kernels") or ())
        problem, candidate = None, None
        if value.get("problem") is not None:
            problem = read_problem(value["problem"])
        if abstraction == "triton":
            if problem is not None and not kernels:
                given = {"source": source, **{k: value[k] for k in ("name", "entry") if value.get(k) is not None}}
                candidate, _ = read_candidate(given, problem)
            elif not kernels:
                raise JobError("give problem, on which the candidate is called, or kernels with their signatures")
        return CompileJob(
            abstraction, arch, source, Path(str(value["folder"])), problem, candidate,
            workloads=tuple(str(w) for w in value.get("workloads") or ()),
            kernels=kernels,
            replace=replace,
            configs=_one_of(value.get("configs", "first"), ("first", "all"), "configs"),
            tensors=_one_of(value.get("tensors", "auto"), ("auto", "fake", "real"), "tensors"),
            most=max(1, int(value.get("most", 64))),
            dtype=None if value.get("dtype") is None else str(value["dtype"]),
            backward=bool(value.get("backward", False)),
            flags=tuple(str(f) for f in value.get("flags") or ()),
            artifacts=tuple(_one_of(t, TYPES, "artifacts") for t in value.get("artifacts", TYPES)),
            hardware={str(k): float(v) for k, v in dict(value.get("hardware") or {}).items()},
            sandbox=tuple(str(s) for s in value.get("sandbox") or ()),
            uid=int(value.get("uid", 0)),
            limits={str(k): int(v) for k, v in dict(value.get("limits") or {}).items()},
            seconds=float(value.get("seconds", 120)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{type(error).__name__}: {error}") from error
