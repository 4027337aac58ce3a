"""How fast is the candidate beside its baselines? Every round has new contents at the same addresses; in random order each host is
called once. Processes are started anew several times (generations). A second copy of eager in the same rounds (A/A) shows what
difference means nothing. On a device the time is that of its own events, and has to be seen by the judge's clock as well.
"""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Sequence
from typing import Any

from ..formats import Workload
from ..judging import checks
from ..judging.client import HostClient
from ..judging.compare import Difference, compare
from ..judging.draws import role_of
from ..judging.job import Job
from ..judging.lacking import LeftOut, why_missing
from ..judging.reference import Reference, Truth
from ..judging.replies import Answer, Call, HostFailure
from ..judging.session import LaunchError, Session
from ..judging.verify import emit_wrong, judge_answer
from . import batches
from .estimate import Series, estimate
from .lease import keep_off, lease, own_processor
from .report import CANDIDATE, CONTROL, MAIN, Bench, report
from .room import in_turns, together
from .thermal import Thermal
from .turns import Turns

DRAWS = 4
# Launches of the candidate, and of the baseline, on a device.
LAUNCHES = 5
# A budget, seconds, in which starting processes takes longer than timing.
HURRY = 1.0
SMALL_DRAWS, SMALL_ANSWERS = 256 << 20, 32 << 20
LEAST_ROUNDS, TAKEN, SHARE_OF_CHECKS = 5, 0.2, 0.3


class Stop(Exception):
    """The candidate failed or answered wrongly; it has been told."""


def launches_for(job: Job, calls_ns: Sequence[int]) -> int:
    """How many launches, by how long the verified calls took at least: those of long calls hardly differ, and in a hurry a wider
    interval has to do."""
    few = job.budget_seconds <= HURRY or (len(calls_ns) > 0 and max(calls_ns) > 1.5 * batches.LONG_NS)
    return batches.FEW if job.device != "cpu" and few else LAUNCHES


def baseline_names(job: Job, launches: int = LAUNCHES) -> list[str]:
    """The main baseline, its further copies, and the others."""
    copies = [f"control{k}" for k in range(2, launches)] if job.device != "cpu" else []
    return ["eager", "control", *copies, *(b for b in job.baselines if b != "eager")]


def baseline_start(name: str) -> tuple[str, str, str]:
    """Role, name and wrap of a baseline's host."""
    return "control" if name.startswith("control") else "baseline", name, "compile" if name == "compile" else "eager"


def prestart(session: Session, launches: int) -> None:
    """Begins to start what a benchmark on a device will need, beside what else is done."""
    job = session.job
    for _ in range(launches - 1):
        session.prestart("candidate", job.name)
    for name in baseline_names(job, launches):
        if session.warm.take(f"baseline/{name}") is None:
            session.prestart(*baseline_start(name))


class Benchmark:
    """All timed workloads of a job."""

    def __init__(self, session: Session, candidate: HostClient | None = None, launches: int = LAUNCHES) -> None:
        self.session, self.wanted = session, launches
        self.device = session.job.device != "cpu"
        self.reference = Reference(session)
        # A device's first launch is the process that was verified.
        self.running: list[HostClient] = [] if candidate is None or candidate.closed else [candidate]
        self.names: list[str] = []
        self.left_out: set[str] = set()
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
            count = self.draws(workload)
            draws = [d for k in range(count) if (d := self.session.draw(self.reference.eager, workload, 100 + k)) is not None]
            if not draws:
                self.session.emit("skipped", workload=workload.uuid, trial="", reason="there is no such sample")
                continue
            shapes = [(t.shape, t.dtype) for t in draws[0].tensors]
            draws = [d for d in draws if [(t.shape, t.dtype) for t in d.tensors] == shapes and d.tree == draws[0].tree]
            names = ["candidate", "control", *self.session.job.baselines]
            m = Bench(workload, draws, [role_of(t) for t in draws[0].tensors], names)
            for h in range(len(names)):
                m.ratios[h], m.times[h], m.ns[h] = Series(), [], []
            self.reference.give(draws, m.roles, apart=self.device and self.session.large(draws[0]))
            with lease(self.session), self.session.phase("benchmark"):
                try:
                    if self.queued(m):
                        continue
                    with own_processor():
                        self.measure(m)
                except Stop:
                    return

    def queued(self, m: Bench) -> bool:
        """Measures by queued calls, where the device and all hosts can; False where single calls have to do."""
        job, session = self.session.job, self.session
        if not (self.device and self.reference.eager.queued and self.reference.eager.boxed) or job.backward:
            self.reference.give(m.draws, m.roles)
            return False
        m.sizes = self.reference.sizes(m.workload)
        apart = False
        try:
            apart = self.apart(m)
            self.reference.give(m.draws, m.roles, apart)
            candidates, baselines = self.launches()
            for host in () if apart else [*candidates, *baselines]:
                session.give(host, m.draws, m.roles)
            (Turns if apart else batches.Queued)(session, m, candidates, baselines, self).run()
        except batches.Wrong:
            raise Stop from None
        except batches.Synchronises as who:
            why = f"a call of {who} waits for the device"
            if apart:
                raise LaunchError(f"{why}, and there is no room to time it by single calls") from None
            session.emit("missing", what="queued timing", reason=why)
            return False
        except HostFailure as failure:
            failed = failure.host
            if failed is None:
                raise LaunchError(f"a host failed: {failure.message}") from failure
            session.stop(failed)
            session.report(failed, failure, m.workload.uuid)
            if failed.name == "compile" and failed.role == "baseline":
                # The others stand.
                self.left_out.add("compile")
                session.emit("missing", what="baseline compile", reason=why_missing(failure.message))
                return self.queued(m)
            raise Stop from failure
        return True

    def apart(self, m: Bench) -> bool:
        """Whether hosts have their inputs in turn only.

        @raises LaunchError where not even that fits.
        """
        session, others = self.session, len(self.session.job.baselines)
        if together(session, m, 2 * self.wanted + others):
            return False
        for host in (*self.running, self.reference.eager, self.reference.oracle):
            if host is not None and not host.closed:
                session.rest(host, inputs=True)
        session.pool.end_spare()
        if together(session, m, 2 * self.wanted + others):
            return False
        self.wanted = min(self.wanted, batches.FEW)
        why_not = in_turns(session, m, 2 * self.wanted + others)
        if why_not:
            raise LaunchError(why_not)
        return True

    def launches(self) -> tuple[list[HostClient], list[HostClient]]:
        """Launches of the candidate, and the baseline twice with all other baselines; all are started beside each other."""
        session, job = self.session, self.session.job
        self.running = [h for h in self.running if not h.closed]
        self.names = [n for n in baseline_names(job, self.wanted) if n not in self.left_out]
        wanted = [("candidate", job.name, "eager")] * (self.wanted - len(self.running))
        wanted += [baseline_start(n) for n in self.names if session.warm.take(f"baseline/{n}") is None]
        for host in session.start_all(wanted):
            if host.role == "candidate":
                self.running.append(host)
            else:
                session.keep(host, f"baseline/{host.name}")
        kept = [session.warm.take(f"baseline/{n}") for n in self.names]
        return list(self.running), [h for h in kept if h is not None]

    def draws(self, workload: Workload) -> int:
        """How many draws a host keeps: every host has all of them, and the live tensors, on the device."""
        first = self.session.draw(self.reference.eager, workload, 99)
        size = 0 if first is None else sum(t.numel() * t.element_size() for t in first.tensors)
        return DRAWS if size <= SMALL_DRAWS else 2 if size <= 4 * SMALL_DRAWS or self.device else 1

    def hosts(self, m: Bench) -> list[HostClient]:
        """A generation's hosts; compiled baselines are kept, since making one costs more than a generation."""
        made: list[HostClient] = []
        try:
            if self.device:
                # Beside each other; taken below.
                for h, name in enumerate(m.names):
                    if name != "compile":
                        self.session.prestart("candidate" if h == CANDIDATE else "control" if h == CONTROL else "baseline", name)
            for h, name in enumerate(m.names):
                if name == "compile" and name in self.kept:
                    made.append(self.kept[name])
                    continue
                role = "candidate" if h == CANDIDATE else "control" if h == CONTROL else "baseline"
                host = self.session.start(role, name, wrap="compile" if name == "compile" else "eager")
                made.append(host)
                keep_off(host)
                self.session.give(host, m.draws, m.roles)
                if name == "compile":
                    self.kept[name] = host
        except HostFailure as failure:
            host = failure.host or self.session.hosts[-1]
            self.session.stop(host)
            self.session.report(host, failure, m.workload.uuid)
            if host.role == "baseline" and host.name == "compile":
                self.leave_out(m, failure)
                for left in made:
                    self.session.stop(left)
                return self.hosts(m)
            raise Stop from failure
        return made

    def leave_out(self, m: Bench, failure: HostFailure) -> None:
        """Goes on without the compiled baseline, and says so."""
        self.session.emit("missing", what="baseline compile", reason=why_missing(failure.message))
        self.kept.pop("compile", None)
        m.names.remove("compile")

    def measure(self, m: Bench) -> None:
        """Generations until the interval is narrow or the budget is spent."""
        job = self.session.job
        share, tries, begun = min(2.0 if self.device else 0.5, job.budget_seconds / 6), 0, time.monotonic()
        while not m.finished:
            tries += 1
            hosts = self.hosts(m)
            before = self.thermal.read()
            try:
                local = self.generation(m, hosts, share)
            except LeftOut:
                for host in hosts:
                    self.session.stop(host)
                continue
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
            self.decide(m, tries, time.monotonic() - begun)

    def decide(self, m: Bench, tries: int, wall: float) -> None:
        """Another generation, or the result."""
        job, generations = self.session.job, len(m.ratios[MAIN].middles)
        least, most = job.generations
        narrow = False
        if generations >= 2:
            i = estimate(m.ratios[MAIN], m.ratios[CONTROL])
            narrow = generations >= least and i.high / max(i.low, 1e-9) - 1 <= job.target_width
            self.session.emit(
                "progress", workload=m.workload.uuid, index=0, generation=tries, ratio=i.ratio, low=i.low, high=i.high
            )
        # On a device starting processes takes longer than their calls.
        spent = (m.seconds >= job.budget_seconds or (self.device and wall >= 2 * job.budget_seconds)) and tries >= least
        if not (narrow or spent or tries >= most):
            return
        m.finished = True
        if generations >= 2:
            report(self.session, m, self.device, self.thermal.source)
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
            spare = m.check_seconds <= SHARE_OF_CHECKS * (m.seconds + time.monotonic() - start)
            check = n == secret_round or (spare and self.random.random() < TAKEN)
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
        """New contents: rows of two draws, a scale, and places from a third that are written last; on a device every element."""
        if self.device and self.reference.eager.queued:
            return {"dense": 1}
        order = self.random.sample(range(len(m.draws)), len(m.draws))
        recipe: dict[str, Any] = {
            "draw": order[0],
            "cut": self.random.random(),
            "scale": self.random.uniform(0.75, 1.5),
        }
        if len(order) > 1:
            recipe |= {"other": order[1], "patch": order[-1]}
        return recipe

    def round(self, m: Bench, hosts: list[HostClient], check: bool) -> list[Call]:
        """New contents, every host once in random order, and the answers compared."""
        session, recipe, key = self.session, self.recipe(m), secrets.randbits(62) | 1
        order = self.random.sample(range(len(hosts)), len(hosts))
        calls: list[Call] = [Call() for _ in hosts]
        answers: dict[int, Answer] = {}
        begun = time.monotonic()
        truth = self.reference.truth(recipe, key, None, m.workload) if check or session.job.backward else None
        if truth is not None:
            m.sizes = truth.sizes
            m.check_seconds += time.monotonic() - begun
        # Which calls are looked at is known here only; where answers are small, all are.
        look = truth is not None or sum(m.sizes) <= SMALL_ANSWERS
        cotangents = None if truth is None else truth.cotangents
        for h in order:
            host = hosts[h]
            limit = 1 << 40 if truth is None or h != CANDIDATE else truth.limit
            try:
                calls[h] = host.call(
                    key, cotangents, recipe=recipe, seed=session.build_seed, backward=session.job.backward,
                    cotangents=cotangents is not None, flush=session.job.cache == "cold", poison=m.sizes,
                    destinations=m.workload.destinations,
                )  # fmt: skip
                if not look:
                    host.finish(calls[h])
                    continue
                answers[h] = host.collect(calls[h], limit, inputs=check, backward=session.job.backward)
            except HostFailure as failure:
                session.stop(host)
                session.report(host, failure, m.workload.uuid)
                if host.role == "baseline" and host.name == "compile":
                    # It compiles in its first call.
                    self.leave_out(m, failure)
                    raise LeftOut from failure
                raise Stop from failure
        if look:
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
