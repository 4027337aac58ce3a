"""Timing on a device by queued calls. A launch of the candidate is one process; all launches, the baseline, its second copy (the
control) and further baselines take turns in random order, a batch of queued calls each. All of a round see the same contents.

What counts is the device's own time between events around a call while the queue is full: what the host needs to enqueue a call is
told beside it (`host_ns`) and is no part of it. The judge's clock sees every call from its key until it is over.
"""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from ..judging import checks
from ..judging.client import HostClient
from ..judging.compare import Difference, compare
from ..judging.replies import Answer, Batch, Call, HostFailure
from ..judging.session import Session
from ..judging.verify import emit_wrong, judge_answer
from .estimate import Launches, estimate_launches, median
from .report import Bench, report_queued
from .thermal import Thermal

PROBE, MOST, LEAST_ROUNDS = 3, 24, 6
BATCH_SECONDS, RING_BYTES, LAUNCHES = 0.003, 2 << 30, 700
# How long a gate waits; a batch in which one gave up is asked again, since kernels may have been loaded in it for the first time.
LIMIT_NS, AGAIN = 400_000_000, 2
PLAIN_CALLS, LOOKED_AT, SHARE_OF_CHECKS = 3, 2, 0.35
# Where a call is this long, launches do not differ by what they are: fewer will do.
LONG_NS, FEW = 300_000, 3
# Contents that a key decides, every element of them.
DENSE = {"dense": 1}


class Synchronises(Exception):
    """A call waits for the device, or launches more than a queue holds."""


@dataclass
class Place:
    """One host's part in a measurement."""

    host: HostClient
    name: str
    batches: list[Batch] = field(default_factory=list)
    plain: list[Call] = field(default_factory=list)
    # Of each round's batch the median device time of its calls, and of the kernels that do nothing, ns.
    rounds: list[float] = field(default_factory=list)
    nulls: list[float] = field(default_factory=list)
    late: int = 0


class Queued:
    """One workload's measurement."""

    mode = "queued"

    def __init__(self, session: Session, m: Bench, candidates: list[HostClient], baselines: list[HostClient], tools: Any) -> None:
        self.session, self.m = session, m
        self.candidates = [Place(h, "candidate") for h in candidates]
        placed = [Place(h, n) for h, n in zip(baselines, tools.names, strict=True)]
        self.copies = [p for p in placed if p.name == "eager" or p.name.startswith("control")]
        self.main, self.others = self.copies[0], [p for p in placed if p not in self.copies]
        self.places = [*self.candidates, *placed]
        self.reference, self.random = tools.reference, tools.random
        self.thermal: Thermal = tools.thermal
        self.count, self.tolerant = PROBE, 8.0

    def fields(self) -> dict[str, Any]:
        """What every call is asked with."""
        job, m = self.session.job, self.m
        return {"seed": self.session.build_seed, "flush": job.cache == "cold", "poison": m.sizes,
                "destinations": m.workload.destinations}  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """What a call that is not queued is asked with."""
        return {"recipe": DENSE, "backward": False, "cotangents": False, **self.fields()}

    def run(self) -> None:
        """Warms up, sizes the batches, and measures until the interval is narrow or the budget is spent.

        @raises Synchronises where a call cannot be queued; Wrong where an answer is not right; HostFailure with its host.
        """
        job, m = self.session.job, self.m
        with self.session.phase("warm up"):
            self.warm_up()
        begun, before = time.monotonic(), self.thermal.read()
        while True:
            medians = self.round()
            reasons = self.thermal.since(before)
            before = 0
            if reasons:
                m.rejected += 1
                if m.rejected in (1, 10, 100):
                    self.session.emit("throttled", workload=m.workload.uuid, reasons=reasons)
            else:
                for place, (value, null) in zip(self.places, medians, strict=True):
                    place.rounds.append(value)
                    place.nulls.append(null)
                m.rounds += 1
            m.seconds = time.monotonic() - begun
            if self.enough(m.seconds, job.budget_seconds, job.target_width):
                break
        report_queued(self.session, m, self)

    def enough(self, seconds: float, budget: float, width: float) -> bool:
        """Whether to stop; tells progress."""
        m, job = self.m, self.session.job
        if m.rounds >= LEAST_ROUNDS and m.rounds % 3 == 0:
            i = estimate_launches(self.launches(self.main))
            self.session.emit(
                "progress", workload=m.workload.uuid, index=0, generation=m.rounds, ratio=i.ratio, low=i.low, high=i.high
            )
            if i.high / max(i.low, 1e-9) - 1 <= width:
                return True
        return m.rounds + m.rejected >= job.rounds or (seconds > budget and m.rounds + m.rejected >= LEAST_ROUNDS)

    def launches(self, baseline: Place) -> Launches:
        """Log times by launch, without what the process itself puts between two events."""
        low, high = min(map(self.offset, self.copies)), max(map(self.offset, self.copies))
        middle = sum(map(self.offset, self.copies)) / len(self.copies)

        def logs(place: Place) -> list[float]:
            # Of a candidate no more is taken off than baselines are seen to have: its own process tells these times.
            off = min(max(self.offset(place), low), high) - middle
            return [math.log(max(0.5 * value, value - off)) for value in place.rounds]

        own, copies = [logs(p) for p in self.candidates], [logs(p) for p in self.copies]
        return Launches(own, copies) if baseline is self.main else Launches(own, [logs(baseline)], copies)

    def offset(self, place: Place) -> float:
        """The time of a kernel that does nothing, in this process."""
        return median(place.nulls)

    def warm_up(self) -> None:
        """Plain calls, the first of them looked at; then a small batch, which tells whether calls can be queued, and how many."""
        session, m = self.session, self.m
        key, plain = secrets.randbits(62) | 1, self.plain()
        truth = self.reference.truth(DENSE, key, None, m.workload)
        m.sizes = truth.sizes

        def first(place: Place) -> Answer:
            limit = truth.limit if place in self.candidates else 1 << 40
            return place.host.collect(place.host.call(key, None, **plain), limit, inputs=True)

        # What is compiled or loaded in a first call takes every process its time: side by side.
        answers = list(session.threads.map(first, self.places))
        for place, got in zip(self.places, answers, strict=True):
            if place in self.candidates:
                self.judged(got, judge_answer(session, truth, got, truth.eager.inputs))
                m.checked += 1
        for _ in range(PLAIN_CALLS - 1):
            key = secrets.randbits(62) | 1
            for place in self.places:
                call = place.host.call(key, None, **plain)
                place.host.finish(call)
                place.plain.append(call)
        counts, longest = [], 0.0
        for place in self.places:
            batch = self.batch(place, [secrets.randbits(62) | 1 for _ in range(PROBE)])
            place.batches.clear()
            longest = max(longest, median([float(v) for v in batch.device_ns]))
            counts.append(self.calls(batch, PROBE))
        self.count = min(counts)
        if longest > LONG_NS:
            self.few()

    def calls(self, batch: Batch, least: int) -> int:
        """How many calls a batch of this host's should have."""
        deep = max(1, LAUNCHES // (batch.host_ns // 3000 + 16))
        room = max(1, RING_BYTES // max(1, sum(self.m.sizes)))
        wanted = int(BATCH_SECONDS * 1e9 / max(1, min(batch.judge_ns)))
        return max(least, min(MOST, wanted, deep, room))

    def few(self) -> None:
        """Fewer launches: those of long calls do not differ."""
        self.candidates, self.copies = self.candidates[:FEW], self.copies[:FEW]
        self.places = [*self.candidates, *self.copies, *self.others]

    def batch(self, place: Place, keys: list[int]) -> Batch:
        """One host's batch.

        @raises Synchronises where its gates give up again and again.
        """
        while True:
            found = place.host.batch(keys, LIMIT_NS, **self.fields())
            if not found.expired:
                place.batches.append(found)
                return found
            place.late += 1
            if place.late > AGAIN:
                raise Synchronises(place.name)

    def round(self) -> list[tuple[float, float]]:
        """Every host's batch with the same keys, in random order; then some answers are looked at."""
        keys = [secrets.randbits(62) | 1 for _ in range(self.count)]
        medians = [(0.0, 0.0)] * len(self.places)
        for n in self.random.sample(range(len(self.places)), len(self.places)):
            batch = self.batch(self.places[n], keys)
            # The first call finds the device as another process left it.
            calls, nulls = (v[1:] if len(v) > 2 else v for v in (batch.device_ns, batch.null_ns))
            medians[n] = max(1.0, median([float(v) for v in calls])), median([float(v) for v in nulls])
        self.check(keys)
        return medians

    def check(self, keys: list[int]) -> None:
        """Calls that nobody knew of are compared with the baseline's on the same contents; now and then one with the oracle."""
        session, m, begun = self.session, self.m, time.monotonic()
        if m.rounds > 2 and m.check_seconds > SHARE_OF_CHECKS * m.seconds:
            return
        for index in self.random.sample(range(len(keys)), min(LOOKED_AT, len(keys))):
            base = self.main.host.kept(index, 1 << 40)
            truth = None
            if m.rounds in (1, 8) or self.random.random() < 0.05:
                truth = self.reference.truth(DENSE, keys[index], None, m.workload)
            for place in self.candidates:
                got = place.host.kept(index, 2 * sum(m.sizes) + (1 << 20))
                m.compared += 1
                if truth is not None:
                    m.checked += 1
                    self.judged(got, judge_answer(session, truth, got, None))
                else:
                    self.judged(got, self.beside(base, got))
        m.check_seconds += time.monotonic() - begun

    def beside(self, base: Answer, got: Answer) -> Difference:
        """A timed answer beside the baseline's on the same contents."""
        fault = checks.structure(got, base)
        if fault is not None:
            return Difference(code=fault.code, output=fault.output, message=fault.message)
        job, dtypes = self.session.job, [t.dtype for t in base.tensors]
        return compare(base.tensors, None, got.tensors, dtypes, job.rtol, job.atol, self.tolerant)

    def judged(self, got: Answer, d: Difference) -> None:
        """Tells what is wrong with a timed answer."""
        session, m = self.session, self.m
        for fault in checks.conduct(got):
            if fault.code not in m.conduct:
                m.conduct.add(fault.code)
                session.emit("conduct", workload=m.workload.uuid, code=fault.code, message=fault.message)
        if d.ok:
            return
        if d.code in ("value_mismatch", "nan_mismatch", "infinity_mismatch"):
            d.code = "timed_output_wrong"
        emit_wrong(session, m.workload.uuid, "timed call", d)
        raise Wrong


class Wrong(Exception):
    """The candidate answered wrongly; it has been told."""


__all__ = ["HostFailure", "Queued", "Synchronises", "Wrong"]
