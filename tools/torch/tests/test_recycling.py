"""Trusted hosts serve the next problem where nothing is left of the one before, and end where something is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from driver import Driver, of

from ke_torch.judging.job import read_job
from ke_torch.judging.session import Pool, Session
from ke_torch.judging.verify import Verification

PROBLEM = """
import torch
{before}
class Model(torch.nn.Module):
    def forward(self, x):
        {inside}
        return torch.relu(x) * {factor}
def get_inputs(): return [torch.randn(8, 16)]
def get_init_inputs(): return []
"""
LEAVES = {
    "default type": ("", "torch.set_default_dtype(torch.float64)"),
    "matmul_precision": ("torch.set_float32_matmul_precision('high')", ""),
    "environment": ("import os; os.environ['MARK'] = '1'", ""),
    "gradients": ("torch.set_grad_enabled(False)", ""),
    "threads of Python": ("import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", ""),
    "hooks": ("torch.nn.modules.module.register_module_forward_hook(lambda *a: None)", ""),
    "torch.nn.functional.gelu": ("torch.nn.functional.gelu = lambda x: x", ""),
    "Tensor.tanh": ("torch.Tensor.tanh = lambda x: x", ""),
    "path": ("import sys; sys.path.insert(0, '/nowhere')", ""),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool()
    yield found
    found.close()


def problem(factor: int, before: str = "", inside: str = "") -> str:
    return PROBLEM.format(factor=factor, before=before, inside=inside or "pass")


def verify(pool: Pool, source: str, **more: Any) -> tuple[set[int], list[dict[str, Any]]]:
    """The processes of the reference and the oracle, and what was told."""
    events: list[dict[str, Any]] = []
    candidate = {"source": source, "entry": "Model"}
    job = read_job({"mode": "verify", "problem": {"format": "kernelbench", "source": source}, "candidate": candidate, **more})
    session = Session(job, pool, lambda event, **fields: events.append({"event": event, **fields}))
    try:
        verification = Verification(session)
        assert verification.run(), events
        assert verification.candidate is not None and not verification.candidate.reusable
        hosts = (verification.reference.eager, verification.reference.oracle)
        return {host.pid for host in hosts if host is not None}, events
    finally:
        session.end()


def test_the_next_problem_has_the_processes_of_the_one_before(pool: Pool) -> None:
    first, _ = verify(pool, problem(2))
    assert len(first) == 2
    again, _ = verify(pool, problem(2))
    assert again == first
    for factor in (3, 4):
        # A wrong answer of the problem before, or its weights or inputs, would fail the candidate here.
        then, events = verify(pool, problem(factor))
        assert then == first and pool.left == []
        assert [e["passed"] for e in events if e["event"] == "verified"] == [True]


@pytest.mark.parametrize("what", LEAVES)
def test_a_problem_that_leaves_something_ends_its_processes(pool: Pool, what: str) -> None:
    first, _ = verify(pool, problem(2, *LEAVES[what]))
    then, _ = verify(pool, problem(3))
    assert not first & then
    assert len(pool.left) == 2 and all(what in left for left in pool.left)


def test_other_limits_mean_other_processes(pool: Pool) -> None:
    first, _ = verify(pool, problem(2))
    then, _ = verify(pool, problem(3), limits={"cpu_seconds": 500})
    assert not first & then


def test_what_a_process_cannot_load_twice_is_loaded_by_a_new_one(pool: Pool) -> None:
    once = "import sys\nif hasattr(sys, 'seen'): raise RuntimeError('twice')\nsys.seen = True"
    first, _ = verify(pool, problem(2, once))
    then, _ = verify(pool, problem(3, once))
    assert not first & then and pool.left == []


def test_a_host_that_has_used_its_time_is_not_kept(pool: Pool) -> None:
    first, _ = verify(pool, problem(2), limits={"cpu_seconds": 8})
    spin = "import time\nend = time.process_time() + 2.2\nwhile time.process_time() < end: pass"
    worn, _ = verify(pool, problem(3, spin), limits={"cpu_seconds": 8})
    assert worn == first
    # The same problem again: what is kept for it has too little left for another job.
    again, _ = verify(pool, problem(3, spin), limits={"cpu_seconds": 8})
    assert not again & worn


def test_hosts_that_wait_can_be_ended(pool: Pool) -> None:
    first, _ = verify(pool, problem(2))
    pool.forget()
    pool.end_spare()
    then, _ = verify(pool, problem(3))
    assert not first & then and pool.left == []


def test_why_processes_were_not_used_again_is_told(judge: Driver) -> None:
    def ask(source: str) -> dict[str, Any]:
        candidate = {"source": source, "entry": "Model"}
        events = judge.ask({"mode": "verify", "problem": {"format": "kernelbench", "source": source}, "candidate": candidate})
        (found,) = of(events, "device")
        return found

    ask(problem(2, "import os; os.environ['MARK'] = '1'"))
    assert ask(problem(3))["not_reused"] == ["environment"]
    assert ask(problem(4))["not_reused"] == []
