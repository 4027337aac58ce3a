"""Queued timing from the judge's side, with hosts whose queue runs on the processor."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ke_torch.judging import session as sessions
from ke_torch.judging.draws import role_of
from ke_torch.judging.job import read_job
from ke_torch.judging.reference import Reference
from ke_torch.judging.replies import HostFailure
from ke_torch.judging.session import Pool, Session
from ke_torch.timing import batches
from ke_torch.timing.bench import baseline_names, baseline_start
from ke_torch.timing.report import Bench
from ke_torch.timing.thermal import Thermal
from ke_torch.timing.turns import Turns

PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(64, 64))
    def forward(self, x, k):
        return torch.relu(x @ self.weight) + k
def get_inputs(): return [torch.rand(200, 64), torch.arange(200).view(200, 1)]
def get_init_inputs(): return []
"""
HONEST = PROBLEM.replace("class Model(", "class ModelNew(")
REPEATS = HONEST.replace(
    "return torch.relu",
    "self.n = getattr(self, 'n', 0) + 1\n        if self.n > 6: return self.last.clone()\n        self.last = torch.relu",
).replace("+ k\n", "+ k\n        return self.last\n")
RAISES = HONEST.replace(
    "return torch.relu", "self.n = getattr(self, 'n', 0) + 1\n        if self.n > 6: 1 / 0\n        return torch.relu"
)

WAYS = pytest.mark.parametrize("way", [batches.Queued, Turns], ids=["together", "in turns"])


def measure(source: str, monkeypatch: pytest.MonkeyPatch, way: type[batches.Queued]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(batches, "MOST", 6)
    job = read_job(
        {
            "mode": "benchmark", "problem": {"format": "kernelbench", "source": PROBLEM}, "candidate": {"source": source},
            "preload": ["tests.fake_queue"], "budget_seconds": 1, "rounds": 8,
        }
    )  # fmt: skip
    pool = Pool()
    session = Session(job, pool, lambda event, **fields: events.append({"event": event, **fields}))
    try:
        reference = Reference(session)
        assert reference.eager.queued
        workload = job.problem.workloads[0]
        draws = [d for k in range(3) if (d := session.draw(reference.eager, workload, k)) is not None]
        m = Bench(workload, draws, [role_of(t) for t in draws[0].tensors], baseline_names(job))
        apart = way is Turns
        if apart:
            monkeypatch.setattr(sessions, "LARGE", 64)
        reference.give(draws, m.roles, apart)
        assert reference.sizes(workload) == [200 * 64 * 4]
        candidates = session.start_all([("candidate", job.name, "eager")] * 2)
        baselines = session.start_all([baseline_start(n) for n in m.names])
        for host in () if apart else [*candidates, *baselines]:
            session.give(host, draws, m.roles)
        tools = SimpleNamespace(names=m.names, reference=reference, random=random.Random(1), thermal=Thermal("cpu"))
        way(session, m, candidates, baselines, tools).run()
    except batches.Wrong:
        events.append({"event": "stopped"})
    finally:
        session.end()
        pool.close()
    return events


@WAYS
def test_an_honest_copy_is_measured(monkeypatch: pytest.MonkeyPatch, way: type[batches.Queued]) -> None:
    (timed,) = [e for e in measure(HONEST, monkeypatch, way) if e["event"] == "benchmarked"]
    (eager,) = timed["baselines"]
    assert eager["low"] < eager["ratio"] < eager["high"] and timed["rounds"] >= batches.LEAST_ROUNDS
    assert timed["compared"] >= 6 and timed["checked"] >= 2 and timed["candidate"]["samples"] > 10
    assert timed["clocks"]["mode"] == way.mode and timed["generations"] == 2


@WAYS
def test_an_answer_of_an_earlier_queued_call_is_caught(monkeypatch: pytest.MonkeyPatch, way: type[batches.Queued]) -> None:
    events = measure(REPEATS, monkeypatch, way)
    assert [e["code"] for e in events if e["event"] == "wrong"] == ["timed_output_wrong"] and events[-1]["event"] == "stopped"


@WAYS
def test_an_exception_in_a_queued_call_names_its_host(monkeypatch: pytest.MonkeyPatch, way: type[batches.Queued]) -> None:
    with pytest.raises(HostFailure) as found:
        measure(RAISES, monkeypatch, way)
    assert found.value.code == "exception" and found.value.host is not None and found.value.host.role == "candidate"
    assert "ZeroDivisionError" in found.value.message
