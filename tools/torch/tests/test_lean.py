"""Inputs too large to be held twice: the same verdicts with every tensor in one place at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ke_torch.boundary.mailbox import DeviceFull
from ke_torch.judging import session as sessions
from ke_torch.judging.grade import grade
from ke_torch.judging.job import read_job
from ke_torch.judging.session import Pool, Session
from ke_torch.judging.verify import Verification

PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(16))
    def forward(self, x, y):
        return torch.relu(x) * self.weight + y
def get_inputs(): return [torch.randn(8, 16), torch.randn(8, 16)]
def get_init_inputs(): return []
"""
WRITES = PROBLEM.replace("return torch.relu(x)", "return x.relu_()")
CANDIDATES = {
    "honest": (PROBLEM, "", []),
    "wrong": (PROBLEM.replace("+ y", "+ y * 1.01"), "", ["value_mismatch"]),
    "writes an input": (WRITES, "", ["input_written"]),
    "writes what the reference writes": (WRITES, WRITES, []),
    "answers once": (PROBLEM.replace("return torch", "self.kept = getattr(self, 'kept', None)\n        if self.kept is None: "
                                     "self.kept = torch").replace("+ y\n", "+ y\n        return self.kept.clone()\n"), "",
                     ["value_mismatch"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LARGE", 64)


def ask(pool: Pool, candidate: str, problem: str = PROBLEM, mode: str = "verify") -> tuple[Session, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    job = read_job(
        {
            "mode": mode, "problem": {"format": "kernelbench", "source": problem or PROBLEM}, "trials": 8,
            "candidate": {"source": candidate, "entry": "Model"},
        }
    )  # fmt: skip
    session = Session(job, pool, lambda event, **fields: events.append({"event": event, **fields}))
    try:
        if mode == "grade":
            grade(session)
        else:
            Verification(session).run()
    finally:
        session.end()
    return session, events


@pytest.mark.parametrize("what", CANDIDATES)
def test_verdicts_are_the_same(pool: Pool, what: str) -> None:
    candidate, problem, codes = CANDIDATES[what]
    _, events = ask(pool, candidate, problem)
    assert sorted({e["code"] for e in events if e["event"] in ("wrong", "host_failure")}) == codes
    (verified,) = [e for e in events if e["event"] == "verified"]
    assert verified["passed"] == (codes == []) and verified["oracle"] == "float64"
    assert codes or verified["trials"] == 8


def test_grades_are_the_same(pool: Pool) -> None:
    (graded,) = [e for e in ask(pool, PROBLEM, mode="grade")[1] if e["event"] == "graded"]
    assert not graded["degenerate"]
    copies = PROBLEM.replace("torch.relu(x) * self.weight + y", "x + 0")
    (graded,) = [e for e in ask(pool, copies, copies, mode="grade")[1] if e["event"] == "graded"]
    assert graded["degenerate"] and graded["nulls"]["input_copy"]


def test_without_room_for_float64_the_baselines_type_decides(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    give = Session.give

    def full(self: Session, host: Any, *rest: Any, **more: Any) -> None:
        if host.role == "oracle":
            raise DeviceFull("no 8 bytes of device memory for what passes between processes")
        give(self, host, *rest, **more)

    monkeypatch.setattr(Session, "give", full)
    other = PROBLEM.replace("8, 16", "9, 16")
    _, events = ask(pool, other, other)
    (verified,) = [e for e in events if e["event"] == "verified"]
    assert verified["passed"] and verified["oracle"] == "eager"
    assert "no 8 bytes" in next(e["reason"] for e in events if e["event"] == "oracle")
