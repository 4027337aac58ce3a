"""The way from a verified candidate to a measurement in turns: the queue runs on the processor, and memory is said to be short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_queued import HONEST, PROBLEM, REPEATS

from ke_torch.judging import session as sessions
from ke_torch.judging.job import read_job
from ke_torch.judging.launch import LaunchError
from ke_torch.judging.session import Pool, Session
from ke_torch.judging.verify import Verification
from ke_torch.timing import batches, bench


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool()
    yield found
    found.close()


def run(pool: Pool, source: str, monkeypatch: pytest.MonkeyPatch, why_not: str = "", large: bool = True) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(batches, "MOST", 6)
    monkeypatch.setattr(sessions, "LARGE", 64 if large else 1 << 40)
    monkeypatch.setattr(bench, "together", lambda *_: False)
    monkeypatch.setattr(bench, "in_turns", lambda *_: why_not)
    monkeypatch.setattr(bench, "baseline_names", lambda job, launches=5: ["eager", "control"])
    job = read_job(
        {
            "mode": "evaluate", "problem": {"format": "kernelbench", "source": PROBLEM}, "candidate": {"source": source},
            "preload": ["tests.fake_queue"], "budget_seconds": 1, "rounds": 8,
        }
    )  # fmt: skip
    session = Session(job, pool, lambda event, **fields: events.append({"event": event, **fields}))
    try:
        verification = Verification(session)
        assert verification.run()
        candidate = verification.candidate
        assert candidate is not None
        launches = bench.launches_for(job, [candidate.shortest_ns])
        assert 0 < candidate.shortest_ns < 1e9 and launches == bench.LAUNCHES
        measured = bench.Benchmark(session, candidate, launches)
        measured.device, measured.reference.eager.boxed = True, True
        measured.run()
        assert measured.wanted == batches.FEW or why_not
    finally:
        session.end()
    return events


@pytest.mark.parametrize("large", [True, False], ids=["large inputs", "large answers"])
def test_an_honest_candidate_is_verified_and_measured(pool: Pool, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    events = run(pool, HONEST, monkeypatch, large=large)
    (timed,) = [e for e in events if e["event"] == "benchmarked"]
    assert timed["clocks"]["mode"] == "queued in turns" and timed["generations"] == batches.FEW
    assert timed["compared"] >= batches.LEAST_ROUNDS


def test_a_stale_answer_is_caught_in_turns(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    later = REPEATS.replace("self.n > 6", "self.n > 16")
    events = run(pool, later, monkeypatch)
    assert [e["code"] for e in events if e["event"] == "wrong"] == ["timed_output_wrong"]
    assert not [e for e in events if e["event"] == "benchmarked"]


def test_what_does_not_even_fit_in_turns_is_said(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaunchError, match="takes 200 GiB"):
        run(pool, HONEST, monkeypatch, "a measurement takes 200 GiB of device memory, and 100 are free")


def test_few_launches_for_long_calls_and_short_budgets() -> None:
    def job(**more: Any) -> Any:
        given = {"problem": {"format": "kernelbench", "source": PROBLEM}, "candidate": {"source": HONEST}, **more}
        return read_job({"mode": "evaluate", "device": "cuda", **given})

    assert bench.launches_for(job(budget_seconds=10), [40_000, 50_000]) == bench.LAUNCHES
    assert bench.launches_for(job(budget_seconds=10), [40_000, 600_000]) == batches.FEW
    assert bench.launches_for(job(budget_seconds=1), [40_000]) == batches.FEW
    assert bench.launches_for(job(budget_seconds=1, device="cpu"), [600_000]) == bench.LAUNCHES
    names = bench.baseline_names(job(baselines=["eager", "compile"]), batches.FEW)
    assert names == ["eager", "control", "control2", "compile"]
