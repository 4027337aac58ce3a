"""Problem formats as others publish them. Parsers only: the judge reads their text and never executes any of it."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, field
from typing import Any


class FormatError(Exception):
    """The text is not of the format that the job says."""


@dataclass(frozen=True)
class TensorSpec:
    """An input that the judge makes itself."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: float | int | bool | None = None
    path: str | None = None
    key: str | None = None
    scalar: bool = False


@dataclass(frozen=True)
class Workload:
    """One set of shapes: made by the problem's own code in the reference host, or by the judge from its description."""

    uuid: str
    timed: bool = True
    provider: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    tensors: tuple[TensorSpec, ...] = ()
    tree: Any = None
    destinations: tuple[tuple[tuple[int, ...], str], ...] = ()
    # Made up by the judge: where the reference does not answer it, it is left out.
    optional: bool = False


@dataclass(frozen=True)
class Problem:
    """What is asked: the reference as a subject for a host, its files, and its workloads."""

    name: str
    format: str
    files: tuple[tuple[str, bytes], ...]
    subject: dict[str, Any]
    candidate_entry: dict[str, Any]
    workloads: tuple[Workload, ...]
    constructor: bool = False
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Content hash of the sources, comments and layout of Python left out."""
        parts = []
        for name, data in self.files:
            try:
                text = ast.dump(ast.parse(data)) if name.endswith(".py") else data.decode(errors="replace")
            except (SyntaxError, ValueError):
                text = data.decode(errors="replace")
            parts.append(f"{name}\0{text}")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Native:
    """A source that is built to a shared object before the candidate can be loaded: `language` is `cuda` or `cpp`."""

    source: str
    language: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A candidate's files, and what of them is called."""

    files: tuple[tuple[str, bytes], ...]
    subject: dict[str, Any]
    native: Native | None = None


def parse_python(source: str, what: str) -> ast.Module:
    """The syntax tree.

    @raises FormatError with the line, when it is no Python.
    """
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise FormatError(f"{what} is no Python{'' if line is None else f' (line {line})'}: {error}") from error


def top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Names that the module defines at its top level, assignments and imports among them."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        found[name.id] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found[(alias.asname or alias.name).split(".")[0]] = node
        elif isinstance(node, (ast.If, ast.Try)):
            for name_, inner in top_level(ast.Module(body=list(ast.iter_child_nodes(node)), type_ignores=[])).items():  # type: ignore[arg-type]
                found.setdefault(name_, inner)
    return found


def require(source: str, names: list[str], what: str) -> None:
    """Checks that a source defines what its format asks for."""
    defined = top_level(parse_python(source, what))
    missing = [name for name in names if name not in defined]
    if missing:
        raise FormatError(f"{what} defines no {', '.join(missing)}")
