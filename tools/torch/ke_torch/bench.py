"""How fast is the candidate beside its baselines? Every round has new contents at the same addresses; in random order each host is
called once. Processes are started anew several times (generations). A second copy of eager in the same rounds (A/A) shows what
difference means nothing. On a device the time is that of its own events, and has to be seen by the judge's clock as well.
"""

from __future__ import annotations

import fcntl
import math
import os
import random
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator

from . import checks
from .client import Answer, Call, HostClient, HostFailure
from .compare import Difference, compare
from .draws import Draw, Role, role_of
from .estimate import Series, estimate, half_width, median, quantile
from .formats import Workload
from .session import Session
from .thermal import Thermal
from .verify import Reference, Truth, emit_wrong, judge_answer

CANDIDATE, CONTROL, MAIN = 0, 1, 2
DRAWS = 4
LEAST_ROUNDS, LEAST_CHECKS, TAKEN = 5, 6, 0.2


@dataclass
class Bench:
    """One workload's measurements over all generations."""

    workload: Workload
    draws: list[Draw]
    roles: list[Role]
    names: list[str]
    ratios: dict[int, Series] = field(default_factory=dict)
    times: dict[int, list[Call]] = field(default_factory=dict)
    ns: dict[int, list[float]] = field(default_factory=dict)
    rounds: int = 0
    rejected: int = 0
    checked: int = 0
    compared: int = 0
    seconds: float = 0.0
    conduct: set[str] = field(default_factory=set)
    finished: bool = False


class Stop(Exception):
    """The candidate failed or answered wrongly; it has been told."""


@contextmanager
def lease(session: Session) -> Iterator[None]:
    """One timing on a device at a time, where the job names a lock."""
    path = session.job.lock
    if path is None:
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            session.emit("waiting")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Benchmark:
    """All timed workloads of a job."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.job.device != "cpu"
        self.reference = Reference(session)
        self.kept: dict[str, HostClient] = {}
        self.thermal = Thermal(session.job.device)
        self.random = random.Random(secrets.randbits(64))

    def run(self) -> None:
        """Measures every workload that is timed."""
        if self.thermal.missing:
            self.session.emit("missing", what="throttle detection", reason=self.thermal.missing)
        for workload in self.session.job.problem.workloads:
            if not workload.timed:
                continue
            draws = [d for k in range(DRAWS) if (d := self.session.draw(self.reference.eager, workload, 100 + k)) is not None]
            if not draws:
                self.session.emit("skipped", workload=workload.uuid, trial="", reason="there is no such sample")
                continue
            shapes = [(t.shape, t.dtype) for t in draws[0].tensors]
            draws = [d for d in draws if [(t.shape, t.dtype) for t in d.tensors] == shapes and d.tree == draws[0].tree]
            names = ["candidate", "control", *self.session.job.baselines]
            m = Bench(workload, draws, [role_of(t) for t in draws[0].tensors], names)
            for h in range(len(names)):
                m.ratios[h], m.times[h], m.ns[h] = Series(), [], []
            self.reference.give(draws, m.roles)
            with lease(self.session):
                try:
                    self.measure(m)
                except Stop:
                    return

    def hosts(self, m: Bench) -> list[HostClient]:
        """A generation's hosts; compiled baselines are kept, since making one costs more than a generation."""
        made: list[HostClient] = []
        try:
            for h, name in enumerate(m.names):
                if name == "compile" and name in self.kept:
                    made.append(self.kept[name])
                    continue
                role = "candidate" if h == CANDIDATE else "control" if h == CONTROL else "baseline"
                host = self.session.start(role, name, wrap="compile" if name == "compile" else "eager")
                made.append(host)
                self.session.give(host, m.draws, m.roles)
                if name == "compile":
                    self.kept[name] = host
        except HostFailure as failure:
            host = self.session.hosts[-1]
            self.session.stop(host)
            self.session.report(host, failure, m.workload.uuid)
            if host.role == "baseline" and host.name == "compile":
                self.session.emit("missing", what="baseline compile", reason=failure.message[-500:])
                m.names.remove("compile")
                for left in made:
                    self.session.stop(left)
                return self.hosts(m)
            raise Stop from failure
        return made

    def measure(self, m: Bench) -> None:
        """Generations until the interval is narrow or the budget is spent."""
        job = self.session.job
        share, tries = min(2.0 if self.device else 0.5, job.budget_seconds / 6), 0
        while not m.finished:
            tries += 1
            hosts = self.hosts(m)
            before = self.thermal.read()
            local = self.generation(m, hosts, share)
            reasons = self.thermal.since(before)
            for host in hosts:
                if host not in self.kept.values():
                    self.session.stop(host)
            if reasons:
                m.rejected += len(local.get(MAIN, []))
                self.session.emit("throttled", workload=m.workload.uuid, reasons=reasons)
            elif all(len(v) >= 3 for v in local.values()):
                for h, values in local.items():
                    m.ratios[h].add(values)
            self.decide(m, tries)

    def decide(self, m: Bench, tries: int) -> None:
        """Another generation, or the result."""
        job, generations = self.session.job, len(m.ratios[MAIN].middles)
        least, most = job.generations
        narrow = False
        if generations >= 2:
            i = estimate(m.ratios[MAIN], m.ratios[CONTROL])
            narrow = generations >= least and i.high / max(i.low, 1e-9) - 1 <= job.target_width
            self.session.emit("progress", workload=m.workload.uuid, index=0, generation=tries, ratio=i.ratio, low=i.low, high=i.high)
        spent = m.seconds >= job.budget_seconds and tries >= least
        if not (narrow or spent or tries >= most):
            return
        m.finished = True
        if generations >= 2:
            report(self.session, m, self.device)
        else:
            self.session.emit("unmeasured", workload=m.workload.uuid, rejected=m.rejected, rounds=m.rounds)

    def generation(self, m: Bench, hosts: list[HostClient], share: float) -> dict[int, list[float]]:
        """The rounds of one launch; the first are not counted."""
        local: dict[int, list[float]] = {h: [] for h in range(CONTROL, len(hosts))}
        for _ in range(3 if self.device else 1):
            self.round(m, hosts, True)
        start = time.monotonic()
        secret_round, n = self.random.randrange(LEAST_ROUNDS), 0
        while n < self.session.job.rounds and (n < LEAST_ROUNDS or time.monotonic() - start < share):
            check = n == secret_round or self.random.random() < TAKEN
            times = self.round(m, hosts, check)
            for h, call in enumerate(times):
                m.times[h].append(call)
                m.ns[h].append(self.ns(call))
            candidate, main = self.ns(times[CANDIDATE]), self.ns(times[MAIN])
            for h in range(MAIN, len(hosts)):
                local[h].append(math.log(self.ns(times[h]) / candidate))
            local[CONTROL].append(math.log(main / self.ns(times[CONTROL])))
            m.rounds += 1
            n += 1
        m.seconds += time.monotonic() - start
        return local

    def ns(self, call: Call) -> float:
        """The time that counts."""
        return float(max(1, call.device_ns if self.device else call.judge_ns))

    def recipe(self, m: Bench) -> dict[str, Any]:
        """New contents: rows of two draws, a scale, and places from a third that are written last."""
        order = self.random.sample(range(len(m.draws)), len(m.draws))
        recipe: dict[str, Any] = {"draw": order[0], "cut": self.random.random(), "scale": self.random.uniform(0.75, 1.5)}
        if len(order) > 1:
            recipe |= {"other": order[1], "patch": order[-1]}
        return recipe

    def round(self, m: Bench, hosts: list[HostClient], check: bool) -> list[Call]:
        """New contents, every host once in random order, and the answers compared."""
        session, recipe, key = self.session, self.recipe(m), secrets.randbits(62) | 1
        order = self.random.sample(range(len(hosts)), len(hosts))
        calls: list[Call] = [Call() for _ in hosts]
        answers: dict[int, Answer] = {}
        truth = self.reference.truth(recipe, key, None, m.workload) if check or session.job.backward else None
        cotangents = None if truth is None else truth.cotangents
        for h in order:
            host = hosts[h]
            limit = 1 << 40 if truth is None or h != CANDIDATE else truth.limit
            try:
                calls[h] = host.call(
                    key, cotangents, recipe=recipe, seed=session.build_seed, backward=session.job.backward,
                    cotangents=cotangents is not None, flush=session.job.cache == "cold", destinations=m.workload.destinations,
                )  # fmt: skip
                answers[h] = host.collect(calls[h], limit, inputs=check, backward=session.job.backward)
            except HostFailure as failure:
                session.stop(host)
                session.report(host, failure, m.workload.uuid)
                raise Stop from failure
        self.check(m, truth, answers)
        return calls

    def check(self, m: Bench, truth: Truth | None, answers: dict[int, Answer]) -> None:
        """Every timed answer beside the baseline's of the same contents; secret ones, and any that differs, with the oracle."""
        session, got, base = self.session, answers[CANDIDATE], answers[MAIN]
        m.compared += 1
        for fault in checks.conduct(got):
            if fault.code not in m.conduct:
                m.conduct.add(fault.code)
                session.emit("conduct", workload=m.workload.uuid, code=fault.code, message=fault.message)
        if truth is not None:
            m.checked += 1
            d = judge_answer(session, truth, got, base.inputs)
        else:
            fault_ = checks.structure(got, base) or checks.deferred(got)
            if fault_ is not None:
                d = Difference(code=fault_.code, output=fault_.output, message=fault_.message)
            else:
                dtypes = [t.dtype for t in base.tensors]
                d = compare(base.tensors, None, got.tensors, dtypes, session.job.rtol, session.job.atol, 8.0)
        if d.ok:
            return
        if d.code in ("value_mismatch", "nan_mismatch", "infinity_mismatch"):
            d.code = "timed_output_wrong"
        emit_wrong(session, m.workload.uuid, "timed call", d)
        raise Stop


def _timing(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median_ns": quantile(ordered, 0.5), "p10_ns": quantile(ordered, 0.1), "p90_ns": quantile(ordered, 0.9),
            "samples": len(ordered)}  # fmt: skip


def clocks(m: Bench, device: bool) -> dict[str, Any]:
    """What the clocks say of each other, ns: gaps of candidate and baseline, and whether the candidate's gain is seen by both."""

    def middle(h: int, pick: Any) -> float:
        return median([float(pick(c)) for c in m.times[h]])

    own = (lambda c: c.device_ns) if device else (lambda c: c.inner_ns)
    gain_own = middle(MAIN, own) - middle(CANDIDATE, own)
    gain_judge = middle(MAIN, lambda c: c.judge_ns) - middle(CANDIDATE, lambda c: c.judge_ns)
    spread = middle(MAIN, lambda c: abs(c.judge_ns - middle(MAIN, lambda d: d.judge_ns)))
    allowed = 5000 + 0.2 * abs(gain_own) + 2 * spread
    late = middle(CANDIDATE, lambda c: c.collect_ns) - middle(MAIN, lambda c: c.collect_ns)
    arm = middle(CANDIDATE, lambda c: c.arm_ns) - middle(MAIN, lambda c: c.arm_ns)
    tail = middle(CANDIDATE, lambda c: c.tail_ns) - middle(MAIN, lambda c: c.tail_ns)
    base = middle(MAIN, lambda c: c.judge_ns)
    return {
        "gain_own_ns": gain_own,
        "gain_judge_ns": gain_judge,
        "clocks_agree": abs(gain_own - gain_judge) <= allowed,
        "late_collect_ns": late,
        "late_collect": late > max(2e6, 0.5 * base),
        "late_start_ns": arm,
        "late_start": arm > max(2e6, 0.5 * base),
        "unjoined_ns": tail,
        "unjoined": tail > max(20000, 0.1 * base),
    }


def report(session: Session, m: Bench, device: bool) -> None:
    """The workload's line."""
    main = estimate(m.ratios[MAIN], m.ratios[CONTROL])
    bias, half = half_width(m.ratios[CONTROL].middles)
    baselines = []
    for h in range(MAIN, len(m.names)):
        i = estimate(m.ratios[h], m.ratios[CONTROL])
        baselines.append({"name": m.names[h], "timing": _timing(m.ns[h]), "ratio": i.ratio, "low": i.low, "high": i.high})
    found = clocks(m, device)
    flags = [name for name in ("late_collect", "late_start", "unjoined") if found[name]]
    if not found["clocks_agree"]:
        flags.append("clock_disagreement")
    session.emit(
        "benchmarked", workload=m.workload.uuid, candidate=_timing(m.ns[CANDIDATE]), baselines=baselines,
        control_bias=math.exp(abs(bias)) - 1, control_half_width=math.exp(half) - 1 if half < 50 else None,
        pairs=len(m.ratios[MAIN].values), rejected=m.rejected, generations=len(m.ratios[MAIN].middles), rounds=m.rounds,
        checked=m.checked, compared=m.compared, clock="device events" if device else "judge", cache=session.job.cache, clocks=found,
        flags=flags + sorted(m.conduct), draws=len(m.draws), resolved=main.high / max(main.low, 1e-9) - 1 <= session.job.target_width,
        seconds=m.seconds,
    )  # fmt: skip
