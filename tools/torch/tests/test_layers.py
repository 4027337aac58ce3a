"""Who may import whom: the judge nothing that runs in hosts, hosts nothing that judges, and no package one above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "ke_torch"
# A package may import those named, and itself.
ALLOWED: dict[str, set[str]] = {
    "boundary": set(),
    "formats": {"boundary"},
    "hosting": {"boundary"},
    "judging": {"boundary", "formats"},
    "timing": {"boundary", "formats", "judging"},
    "compile": {"boundary", "formats", "judging", "hosting"},
    "profile": {"boundary", "formats", "judging", "hosting", "compile"},
    "judge": {"formats", "judging", "timing", "compile"},
    "probe": {"compile", "profile"},
}
# What executes sources outside hosts: Triton's tracing of a candidate, and the profiled process.
RUNS_SUBJECTS = {"compile": {"triton_task", "worker"}, "profile": {"once", "enter"}}


def imported(path: Path) -> set[str]:
    """Modules of ours that a file imports, below `ke_torch`."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ke_torch.") for a in node.names if a.name.startswith("ke_torch.")}
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = package[: len(package) - node.level + 1]
            found |= {".".join([*base, *([node.module] if node.module else []), a.name]) for a in node.names}
        elif node.module and node.module.startswith("ke_torch"):
            found |= {f"{node.module}.{a.name}".removeprefix("ke_torch.") for a in node.names}
    return {name for name in found if name.split(".")[0] in ALLOWED}


FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def test_every_part_is_known() -> None:
    assert {p.relative_to(ROOT).with_suffix("").parts[0] for p in FILES} == set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    assert {name.split(".")[0] for name in imported(path)} <= ALLOWED[own] | {own}


def test_nothing_that_a_judge_imports_runs_subjects() -> None:
    waiting, seen = ["judge"], set()
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        path = next((p for n in range(len(parts), 0, -1) if (p := ROOT.joinpath(*parts[:n]).with_suffix(".py")).exists()), None)
        path = path or (ROOT / parts[0] / "__init__.py")
        if path in seen:
            continue
        seen.add(path)
        waiting += imported(path)
    reached = {p.relative_to(ROOT).with_suffix("").parts for p in seen}
    assert ("judging", "verify") in reached and ("timing", "turns") in reached
    assert not {parts for parts in reached if parts[0] == "hosting"}
    assert not {parts for parts in reached if parts[-1] in RUNS_SUBJECTS.get(parts[0], set())}
