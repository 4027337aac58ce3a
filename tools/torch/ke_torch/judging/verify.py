"""Is the candidate right? Fresh contents each trial, hidden changes of values and weights, repeats, and the float64 oracle."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..formats import Workload
from . import checks
from .client import HostClient
from .compare import Difference, compare
from .draws import TRANSFORMS, Draw, Role, change_weights, role_of, transform
from .reference import Reference, Truth
from .replies import Answer, HostFailure
from .session import Session


@dataclass
class State:
    """One workload's verification."""

    workload: Workload
    trials: int = 0
    failures: int = 0
    skipped: list[str] = field(default_factory=list)
    worst: float = 0.0
    own: float = 0.0
    deterministic: bool = True
    hopeless: bool = False
    narrow: bool = False


def judge_answer(session: Session, truth: Truth, got: Answer, before: list[torch.Tensor] | None) -> Difference:
    """The first thing that is wrong with an answer, if any."""
    fault = checks.structure(got, truth.eager) or checks.deferred(got)
    if fault is not None:
        return Difference(code=fault.code, output=fault.output, message=fault.message)
    if before is not None:
        changed = [k for k in checks.inputs_changed(got.inputs, before) if k not in truth.changed]
        if changed:
            return Difference(code="input_written", message=f"input {changed[0]} was changed")
    job = session.job
    dtypes = [t.dtype for t in truth.eager.tensors]
    return compare(truth.want, truth.eager.tensors, got.tensors, dtypes, job.rtol, job.atol, truth.allowed)


def emit_wrong(session: Session, workload: str, trial: str, d: Difference) -> None:
    """One wrong answer as a line."""
    session.emit(
        "wrong", workload=workload, code=d.code, trial=trial, output=d.output, index=d.index, got=d.got, expected=d.expected,
        got_text="" if d.got is None else repr(d.got), expected_text="" if d.expected is None else repr(d.expected),
        wrong_elements=d.wrong, elements=d.elements, error_over_tolerance=d.worst, message=d.message,
    )  # fmt: skip


class Verification:
    """All workloads of a job, one after the other, with the same hosts."""

    def __init__(self, session: Session) -> None:
        self.session = session
        session.prestart("candidate", session.job.name)
        self.reference = Reference(session)
        self.candidate: HostClient | None = None
        self.deaths = 0
        self.passed: dict[str, bool] = {}
        self.told: set[str] = set()

    def run(self) -> bool:
        """Whether every workload that exists is right."""
        for workload in self.session.job.problem.workloads:
            if self.deaths > 1:
                break
            self.workload(workload)
        return bool(self.passed) and all(self.passed.values()) and self.deaths <= 1

    def workload(self, workload: Workload) -> None:
        """One workload's trials."""
        session, state = self.session, State(workload)
        try:
            first = session.draw(self.reference.eager, workload, 0)
            if first is None:
                session.emit("skipped", workload=workload.uuid, trial="", reason="there is no such sample")
                return
            roles = [role_of(t) for t in first.tensors]
            generator = session.generator(f"trials/{workload.uuid}", 0)
            trials = ["fresh", "fresh again", *(TRANSFORMS if any(r.scale for r in roles) else ())]
            for name in trials[: max(2, session.job.trials - 1)]:
                if state.failures < 3 and not state.hopeless:
                    self.trial(state, name, self.contents(workload, name, first, roles, generator), roles)
            if state.failures < 3 and not state.hopeless and any(session.weights.parameters):
                self.weights_trial(state, self.contents(workload, "fresh again", first, roles, generator), roles, generator)
        except HostFailure as failure:
            # Only drawing inputs gets here.
            session.report(self.reference.eager, failure, workload.uuid)
            self.passed[workload.uuid] = False
            return
        self.finish(state)

    def contents(self, workload: Workload, name: str, first: Draw, roles: list[Role], generator: torch.Generator) -> Draw:
        """A trial's inputs, made when their turn comes: several may not fit in memory at once."""
        if name == "fresh":
            return first
        if name == "fresh again":
            return self.session.draw(self.reference.eager, workload, 1) or first
        return transform(first, roles, name, generator)

    def trial(self, state: State, name: str, draw: Draw, roles: list[Role]) -> None:
        """One set of contents."""
        session, reference, uuid = self.session, self.reference, state.workload.uuid
        plain = name.startswith("fresh")
        try:
            with session.phase("reference"):
                reference.give([draw], roles, session.large(draw))
                truth = reference.truth({"draw": 0}, 0, draw.tensors, state.workload)
        except HostFailure as failure:
            if plain and not state.workload.optional:
                session.report(reference.eager, failure, uuid)
                state.failures += 1
                state.hopeless = True
                return
            state.skipped.append(name)
            session.emit("skipped", workload=uuid, trial=name, reason=f"the reference fails: {failure.message[-300:]}")
            state.hopeless = plain
            reference.restart()
            return
        if not plain and not all(bool(torch.isfinite(t).all()) for t in truth.want if t.is_floating_point()):
            state.skipped.append(name)
            session.emit("skipped", workload=uuid, trial=name, reason="the reference's answer is not finite")
            return
        if truth.hopeless:
            state.skipped.append(name)
            session.emit("skipped", workload=uuid, trial=name, reason="the baseline's own error is as large as its answer")
            return
        state.own = max(state.own, truth.own_error)
        if truth.oracle == "eager" and reference.oracle is not None and not state.narrow:
            state.narrow = True
            why = f"the baseline's own error against float64 is as large as its answer ({uuid})"
            session.emit("oracle", kind="eager", reason=why)
        reference.apart = None
        first = self.answer(state, name, draw, roles, truth)
        if first is None:
            return
        state.trials += 1
        first.inputs = []
        if name == "fresh":
            again = self.answer(state, "the same contents again", draw, roles, truth, repeat=True)
            if again is not None:
                pairs = zip(first.tensors, again.tensors, strict=False)
                state.deterministic = state.deterministic and all(checks.same(a, b) for a, b in pairs)
        if session.large(draw) and self.candidate is not None:
            self.rest(state)

    def rest(self, state: State) -> None:
        """The candidate's answer makes room for the next truth."""
        host = self.candidate
        assert host is not None
        try:
            self.session.rest(host, inputs=False)
        except HostFailure as failure:
            self.lost(state, host, failure)

    def lost(self, state: State, host: HostClient | None, failure: HostFailure) -> None:
        """There is no answer, and no process any more."""
        session = self.session
        state.failures += 1
        self.deaths += 1
        state.hopeless = self.deaths > 1 or failure.code in ("call_timeout", "load_timeout", "load_failed")
        self.deaths += 10 * (failure.code in ("call_timeout", "load_timeout", "load_failed"))
        if host is not None:
            session.stop(host)
            session.report(host, failure, state.workload.uuid)
        self.candidate = None

    def answer(self, state: State, name: str, draw: Draw, roles: list[Role], truth: Truth, repeat: bool = False) -> Answer | None:
        """The candidate's answer, checked; None where there is none."""
        session, uuid = self.session, state.workload.uuid
        host = self.candidate
        try:
            if host is None:
                host = self.candidate = session.start("candidate", session.job.name)
            with session.phase("call"):
                lean = session.large(draw)
                if not repeat or (lean and truth.changed):
                    session.give(host, [draw], roles, lean=lean)
                _, got = session.ask(
                    host, {"draw": 0}, truth.limit, 0, truth.cotangents, poison=truth.sizes,
                    destinations=state.workload.destinations,
                )  # fmt: skip
        except HostFailure as failure:
            self.lost(state, host or failure.host, failure)
            return None
        with session.phase("compare"):
            d = judge_answer(session, truth, got, draw.tensors)
        state.worst = max(state.worst, d.worst / truth.allowed)
        if not d.ok:
            state.failures += 1
            emit_wrong(session, uuid, name, d)
        for fault in checks.conduct(got):
            if fault.code not in self.told:
                self.told.add(fault.code)
                state.failures += fault.code == "patched_runtime"
                session.emit("conduct", workload=uuid, code=fault.code, message=fault.message)
        return got

    def weights_trial(self, state: State, draw: Draw, roles: list[Role], generator: torch.Generator) -> None:
        """Other weights in the same memory; the answer has to follow."""
        session, name = self.session, "weights changed in place"
        why = "the weights came by seed, not by name" if session.weights_by != "state_dict" else ""
        why = "the job says that weights are constant" if session.job.weights_constant else why
        if why or self.candidate is None:
            state.skipped.append(name)
            session.emit("skipped", workload=state.workload.uuid, trial=name, reason=why or "no candidate is left")
            return
        weights = session.weights
        changed = change_weights(weights.tensors, weights.parameters, generator)
        try:
            self.reference.set_weights(changed)
            session.set_weights(self.candidate, changed)
            self.trial(state, name, draw, roles)
            self.reference.set_weights(weights.tensors)
            if self.candidate is not None:
                session.set_weights(self.candidate, weights.tensors)
        except HostFailure as failure:
            state.failures += 1
            session.warm.spoiled = True
            session.report(self.candidate or self.reference.eager, failure, state.workload.uuid)

    def finish(self, state: State) -> None:
        """The workload's line."""
        session, host = self.session, self.candidate
        if state.workload.optional and state.failures == 0 and state.trials == 0:
            return
        passed = state.failures == 0 and state.trials > 0
        self.passed[state.workload.uuid] = passed
        session.emit(
            "verified", workload=state.workload.uuid, trials=state.trials, passed=passed, worst_error=state.worst,
            baseline_error=state.own, deterministic=state.deterministic, skipped=state.skipped, weights=session.weights_by,
            oracle="eager" if self.reference.oracle is None or state.narrow else "float64", confinement=session.confinement,
            text="" if host is None else host.drain()[:8192], text_bytes=0 if host is None else host.text_total,
        )  # fmt: skip
        if host is not None:
            host.text, host.text_total = b"", 0
