"""Candidates in CUDA or C++: one source that defines `run`, and the Python that makes its shared object what a format calls."""

from __future__ import annotations

import re
from dataclasses import replace

from . import Candidate, FormatError, Native, Problem

LANGUAGES = ("cuda", "cpp")
ENDINGS = {".cu": "cuda", ".cpp": "cpp", ".cc": "cpp", ".cxx": "cpp"}
_ENTRY = re.compile(r"\brun\s*\(")
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def _wrapper(problem: Problem) -> tuple[str, str]:
    """The Python text, and the name that is called in it."""
    head = "from ke_torch.hosting import native\n\n"
    if problem.candidate_entry["kind"] == "module":
        return head + "ModelNew = native.module_class(__file__)\n", "ModelNew"
    if problem.format == "kernelbot":
        return head + "custom_kernel = native.unpacked(__file__)\n", "custom_kernel"
    overload = problem.subject["entry"] if problem.subject["kind"] == "aten" else None
    return head + f"call = native.function(__file__, {overload!r})\n", "call"


def parse_candidate(source: str, problem: Problem, language: str, flags: tuple[str, ...] = ()) -> Candidate:
    """A candidate that has to be built before it can be loaded.

    @raises FormatError where the source can define no `run`.
    """
    if language not in LANGUAGES:
        raise FormatError(f"{language!r} is no language of candidates: python, {', '.join(LANGUAGES)}")
    if _ENTRY.search(_COMMENTS.sub(" ", source)) is None:
        raise FormatError("the candidate defines no function run: `torch::Tensor run(torch::Tensor x, …)`")
    text, entry = _wrapper(problem)
    subject = {**problem.candidate_entry, "file": "candidate.py", "entry": entry, "passing": False}
    return Candidate((("candidate.py", text.encode()),), subject, Native(source, language, flags))


def with_module(candidate: Candidate, data: bytes) -> Candidate:
    """The candidate with its shared object beside its Python."""
    return replace(candidate, files=(*candidate.files, ("candidate.so", data)), native=None)
