"""kernelbot: a `task.yml` (as an object, or as text where a YAML parser is installed) with its files beside it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from . import Candidate, FormatError, Problem, Workload, require


def load_task(text: str) -> dict[str, Any]:
    """The task of its YAML text; plain data only."""
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise FormatError("reading task.yml needs PyYAML (pip install pyyaml), or give the task as an object") from error
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise FormatError("task.yml is no mapping")
    return found


def parse_problem(task: dict[str, Any], root: Path) -> Problem:
    """`generate_input` and `ref_kernel` of its reference; one workload a test (checked) and a benchmark (timed)."""
    if task.get("lang", "py") != "py":
        raise FormatError(f"tasks in {task['lang']} are not run here")
    files: list[tuple[str, bytes]] = []
    submission = "submission.py"
    for entry in task.get("files", ()):
        name, source = str(entry["name"]), str(entry["source"])
        if source == "@SUBMISSION@":
            submission = name
            continue
        path = (root / source).resolve()
        if path.suffix == ".py" and path.is_file():
            files.append((name, path.read_bytes()))
    reference = dict(files).get("reference.py")
    if reference is None:
        raise FormatError("the task has no reference.py")
    require(reference.decode(), ["generate_input", "ref_kernel"], "reference.py")
    workloads = [
        Workload(f"{kind}-{k}", timed=kind == "benchmark", provider="generate_input", arguments=dict(arguments))
        for kind, entries in (("test", task.get("tests", ())), ("benchmark", task.get("benchmarks", ())))
        for k, arguments in enumerate(entries)
    ]
    if not workloads:
        raise FormatError("the task has no tests and no benchmarks")
    return Problem(
        name=str(task.get("name", root.name)),
        format="kernelbot",
        files=tuple(files),
        subject={"kind": "function", "file": "reference.py", "entry": "ref_kernel"},
        candidate_entry={"kind": "function", "file": submission, "entry": "custom_kernel"},
        workloads=tuple(workloads),
        notes=("check_implementation of the task is not used: answers are compared here",),
    )


def parse_candidate(source: str, problem: Problem) -> Candidate:
    """A submission, with the task's helper modules (never its reference) beside it."""
    require(source, ["custom_kernel"], "the submission")
    shared = tuple((n, d) for n, d in problem.files if n in ("task.py", "utils.py"))
    return Candidate((*shared, (str(problem.candidate_entry["file"]), source.encode())), dict(problem.candidate_entry))
