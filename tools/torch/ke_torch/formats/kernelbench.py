"""KernelBench: one file with `Model`, `get_inputs` and `get_init_inputs`; a candidate defines `ModelNew`."""

from __future__ import annotations

from . import Candidate, FormatError, Problem, Workload, require


def parse_problem(source: str, name: str) -> Problem:
    """The problem of a file's text, unchanged."""
    require(source, ["Model", "get_inputs", "get_init_inputs"], "the problem")
    return Problem(
        name=name,
        format="kernelbench",
        files=(("problem.py", source.encode()),),
        subject={"kind": "module", "file": "problem.py", "entry": "Model"},
        candidate_entry={"kind": "module", "file": "candidate.py", "entry": "ModelNew"},
        workloads=(Workload(uuid="default", provider="get_inputs"),),
        constructor=True,
    )


def parse_candidate(source: str, problem: Problem, entry: str | None) -> Candidate:
    """A candidate's file; `entry` names another class than the format's (`Model` itself as candidate, say)."""
    subject = {**problem.candidate_entry, **({} if entry is None else {"entry": entry})}
    try:
        require(source, [subject["entry"]], "the candidate")
    except FormatError as error:
        # A file may make its class by other means; what it defines is known when it has run.
        if "defines no" not in str(error) or subject["entry"] not in source:
            raise
    return Candidate((("candidate.py", source.encode()),), subject)
