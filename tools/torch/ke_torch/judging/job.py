"""The job: one JSON object, checked field by field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats import Candidate, FormatError, Problem, aten, backendbench, flashinfer, kernelbench, kernelbot, native

MODES = ("verify", "benchmark", "evaluate", "grade", "describe")


class JobError(Exception):
    """The job cannot be understood."""


@dataclass(frozen=True)
class Job:
    """See README.md for every field."""

    mode: str
    device: str
    problem: Problem
    candidate: Candidate | None
    name: str = "candidate"
    seed: int | None = None
    trials: int = 8
    rtol: float | None = None
    atol: float | None = None
    dtype: str | None = None
    backward: bool = False
    weights_constant: bool = False
    require_own_kernel: bool = False
    oracle: str = "float64"
    baselines: tuple[str, ...] = ("eager",)
    cache: str = "cold"
    threads: int = 1
    sandbox: tuple[str, ...] = ()
    trusted_sandbox: tuple[str, ...] = ()
    uid: int = 0
    trusted_uid: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    allow_processes: bool = False
    call_seconds: float = 30
    load_seconds: float = 60
    compile_seconds: float = 600
    budget_seconds: float = 10
    target_width: float = 0.02
    generations: tuple[int, int] = (3, 12)
    rounds: int = 400
    lock: str | None = None
    cache_folder: str | None = None
    candidate_cache: str | None = None
    module_cache: str | None = None
    build_seconds: float = 300
    preload: tuple[str, ...] = ()


def _text(value: dict[str, Any], what: str) -> tuple[str, str]:
    """Source text given inline or by its path, and a name for it."""
    if "source" in value:
        return str(value["source"]), str(value.get("name", what))
    if "path" in value:
        path = Path(str(value["path"]))
        try:
            return path.read_text(encoding="utf8"), str(value.get("name", path.stem))
        except (OSError, UnicodeDecodeError) as error:
            raise JobError(f"{what}: {error}") from error
    raise JobError(f"{what} needs source or path")


def _json(value: Any, what: str) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(Path(value).read_text(encoding="utf8"))
        except (OSError, ValueError) as error:
            raise JobError(f"{what}: {error}") from error
    return value


def read_problem(value: dict[str, Any]) -> Problem:
    """The problem that the job names, by its format."""
    kind = value.get("format")
    if kind == "kernelbench":
        return kernelbench.parse_problem(*_text(value, "problem"))
    if kind == "flashinfer":
        root = Path(value["root"]) if "root" in value else None
        return flashinfer.parse_problem(
            _json(value["definition"], "definition"), value.get("workloads", []), root, bool(value.get("odd_shapes", True))
        )
    if kind == "aten":
        return aten.parse_problem(str(value["overload"]), str(value.get("dtype", "float32")), int(value.get("samples", 4)))
    if kind == "backendbench":
        problems, _ = backendbench.parse_trace(_text({"source": value["trace"]}, "trace")[0], int(value.get("samples", 4)))
        if value["overload"] not in problems:
            raise JobError(f"the trace has no call of {value['overload']}")
        return problems[value["overload"]]
    if kind == "kernelbot":
        root = Path(str(value["root"]))
        task = value.get("task") or kernelbot.load_task((root / "task.yml").read_text(encoding="utf8"))
        return kernelbot.parse_problem(task, root)
    raise JobError(f"unknown format {kind!r}")


def read_candidate(value: dict[str, Any], problem: Problem) -> tuple[Candidate, str]:
    """The candidate in the problem's format."""
    name = str(value.get("name", "candidate"))
    language = str(value.get("language") or native.ENDINGS.get(Path(str(value.get("path", ""))).suffix, "python"))
    if language != "python":
        flags = tuple(str(f) for f in value.get("flags") or ())
        return native.parse_candidate(_text(value, "candidate")[0], problem, language, flags), name
    if problem.format == "flashinfer":
        if "solution" in value:
            return flashinfer.parse_solution(_json(value["solution"], "solution"), problem), name
        source, _ = _text(value, "candidate")
        spec = {
            "language": "python",
            "entry_point": "main.py::run",
            "destination_passing_style": bool(value.get("passing", False)),
        }
        return flashinfer.parse_solution({"spec": spec, "sources": [{"path": "main.py", "content": source}]}, problem), name
    source, _ = _text(value, "candidate")
    if problem.format == "kernelbench":
        return kernelbench.parse_candidate(source, problem, value.get("entry")), name
    if problem.format == "kernelbot":
        return kernelbot.parse_candidate(source, problem), name
    return aten.parse_candidate(source, problem, value.get("entry")), name


_SIMPLE: dict[str, type] = {
    "trials": int, "rtol": float, "atol": float, "dtype": str, "backward": bool, "weights_constant": bool,
    "require_own_kernel": bool, "cache": str, "threads": int, "uid": int, "trusted_uid": int,
    "allow_processes": bool, "call_seconds": float, "load_seconds": float, "compile_seconds": float,
    "budget_seconds": float, "target_width": float, "rounds": int,
    "lock": str, "oracle": str, "cache_folder": str, "candidate_cache": str, "seed": int,
    "module_cache": str, "build_seconds": float,
}  # fmt: skip
_LISTS = ("baselines", "sandbox", "trusted_sandbox", "preload")
_OTHERS = {"mode", "device", "problem", "candidate", "generations", "limits"}


def read_job(value: Any) -> Job:
    """The job of its JSON.

    @raises JobError or FormatError, saying what is wrong.
    """
    if not isinstance(value, dict):
        raise JobError("a job is an object")
    unknown = set(value) - set(_SIMPLE) - set(_LISTS) - _OTHERS
    if unknown:
        raise JobError(f"unknown fields: {', '.join(sorted(unknown))}")
    mode, device = value.get("mode", "evaluate"), str(value.get("device", "cpu"))
    if mode not in MODES:
        raise JobError(f"mode is one of {', '.join(MODES)}")
    if device != "cpu" and device.partition(":")[0] != "cuda":
        raise JobError("device is cpu, cuda or cuda:N")
    try:
        problem = read_problem(value["problem"])
        candidate, name = (None, "none")
        if value.get("candidate") is not None:
            candidate, name = read_candidate(value["candidate"], problem)
        elif mode not in ("grade", "describe"):
            raise JobError(f"mode {mode} needs a candidate")
        fields: dict[str, Any] = {k: kind(value[k]) for k, kind in _SIMPLE.items() if value.get(k) is not None}
        fields |= {k: tuple(str(v) for v in value[k]) for k in _LISTS if value.get(k) is not None}
        if "generations" in value:
            fields["generations"] = (int(value["generations"]["min"]), int(value["generations"]["max"]))
        fields["limits"] = {str(k): int(v) for k, v in dict(value.get("limits") or {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{type(error).__name__}: {error}") from error
    bad = set(fields.get("baselines", ())) - {"eager", "compile"}
    if bad or fields.get("cache", "cold") not in ("cold", "warm"):
        raise JobError("baselines are eager and compile; cache is cold or warm")
    if fields.get("oracle", "float64") not in ("float64", "eager"):
        raise JobError("oracle is float64 or eager")
    if fields.get("baselines", ("eager",))[0] != "eager":
        raise JobError("the first baseline is eager")
    return Job(mode=mode, device=device, problem=problem, candidate=candidate, name=name, **fields)


__all__ = ["FormatError", "Job", "JobError", "read_job"]
