"""ATen operators by overload name, with inputs from PyTorch's own operator database; BackendBench's names for the same."""

from __future__ import annotations

from . import Candidate, FormatError, Problem, Workload, parse_python, top_level


def folder_of(overload: str) -> str:
    """``add.Tensor`` as BackendBench's folder ``add__Tensor``."""
    return overload.replace(".", "__")


def overload_of(folder: str) -> str:
    """The reverse."""
    return folder.replace("__", ".", 1) if not folder.startswith("__") else folder


def parse_problem(overload: str, dtype: str, samples: int) -> Problem:
    """An operator with its first samples; how many there are is known when they have been asked for."""
    name = overload.removeprefix("aten.")
    if not name.replace(".", "").replace("_", "").isalnum():
        raise FormatError(f"{overload!r} is no overload's name")
    if name.split(".")[0].endswith("_") and not name.startswith("_"):
        raise FormatError(f"{overload} works in place: its answer is its input, which a candidate must leave alone")
    return Problem(
        name=f"aten.{name}",
        format="aten",
        files=(),
        subject={"kind": "aten", "entry": name},
        candidate_entry={"kind": "function", "file": "candidate.py"},
        workloads=tuple(
            Workload(f"{dtype}-{k}", k == 0, "opinfo", {"overload": name, "dtype": dtype, "index": k}) for k in range(samples)
        ),
    )


def parse_candidate(source: str, problem: Problem, entry: str | None) -> Candidate:
    """A file with `{folder}_kernel_impl`, or another function that the job names."""
    defined = top_level(parse_python(source, "the candidate"))
    wanted = entry or f"{folder_of(problem.name.removeprefix('aten.'))}_kernel_impl"
    if wanted not in defined:
        raise FormatError(f"the candidate defines no {wanted}")
    return Candidate((("candidate.py", source.encode()),), {**problem.candidate_entry, "entry": wanted})
