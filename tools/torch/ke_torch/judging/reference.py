"""What is right: the hosts that run the reference, in the problem's type and as the float64 oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ..boundary.mailbox import DeviceFull
from ..formats import Workload
from . import checks
from .client import HostClient
from .compare import compare, tolerance_of
from .draws import Draw, Role
from .replies import Answer, HostFailure
from .session import Session

SLACK = 1 << 20
# Where four times the baseline's own error is this share of the answer, nothing can be told.
HOPELESS = 0.25


@dataclass
class Truth:
    """What is right for one set of contents."""

    eager: Answer
    input_bytes: int
    want: list[torch.Tensor]
    allowed: float
    own_error: float
    cotangents: list[torch.Tensor] | None
    changed: list[int]
    oracle: str
    hopeless: bool = False

    @property
    def limit(self) -> int:
        """The most that an answer may be read of."""
        return 2 * sum(self.sizes) + self.input_bytes + SLACK

    @property
    def sizes(self) -> list[int]:
        """Bytes of each output."""
        return [t.numel() * t.element_size() for t in self.eager.tensors]


class Reference:
    """The hosts that tell what is right: eager in the problem's type, and the oracle in float64 where that works."""

    def __init__(self, session: Session) -> None:
        self.session, warm = session, session.warm
        kept, wide = warm.take("reference"), warm.take("oracle")
        wanted = session.job.oracle == "float64"
        if kept is None:
            session.prestart("reference", "eager")
        if wanted and wide is None and not warm.no_oracle:
            session.prestart("oracle", "float64")
        self.eager: HostClient = kept or session.start("reference", "eager")
        session.keep(self.eager, "reference")
        self.oracle: HostClient | None = wide if wanted else None
        self._no_oracle = ""
        self.apart: tuple[list[Draw], list[Role]] | None = None
        if not wanted:
            self._without("the job asks for it")
        elif warm.no_oracle:
            self._without(warm.no_oracle)
        elif self.oracle is None:
            self._start_oracle()

    def _start_oracle(self) -> None:
        try:
            self.oracle = self.session.start("oracle", "float64", double=True)
            self.session.keep(self.oracle, "oracle")
        except HostFailure as failure:
            self._without(failure.message)

    def _without(self, why: str) -> None:
        if self.oracle is not None:
            self.session.stop(self.oracle)
        self.oracle = None
        if not self._no_oracle:
            self._no_oracle = why
            self.session.warm.no_oracle = "" if self.session.job.oracle == "eager" else why
            self.session.emit("oracle", kind="eager", reason=why[-500:])

    def restart(self) -> None:
        """New hosts, after one of them died of what it was asked."""
        self.session.stop(self.eager)
        self.eager = self.session.start("reference", "eager")
        self.session.keep(self.eager, "reference")
        if self.session.weights.names:
            self.session.set_weights(self.eager, self.session.weights.tensors)
        if self.oracle is not None:
            self.session.stop(self.oracle)
            self._start_oracle()

    def set_weights(self, tensors: list[torch.Tensor]) -> None:
        """Other weights for both."""
        for host in (self.eager, self.oracle):
            if host is not None:
                self.session.set_weights(host, tensors)

    def give(self, draws: list[Draw], roles: list[Role], apart: bool = False) -> None:
        """Contents for both; `apart`: each has them in its turn only, since they are large."""
        self.apart = (draws, roles) if apart else None
        if apart:
            return
        self.session.give(self.eager, draws, roles)
        if self.oracle is not None:
            try:
                self.session.give(self.oracle, draws, roles, double=True)
            except (HostFailure, DeviceFull) as failure:
                self._without(str(failure))

    @contextmanager
    def turn(self, host: HostClient, double: bool = False) -> Iterator[None]:
        """While this host has its inputs."""
        if self.apart is None:
            yield
            return
        draws, roles = self.apart
        self.session.give(host, draws, roles, double=double, lean=len(draws) == 1)
        yield
        self.session.rest(host, inputs=True)

    def sizes(self, workload: Workload) -> list[int]:
        """Bytes of each output."""
        with self.turn(self.eager):
            _, got = self.session.ask(self.eager, {"draw": 0}, 1 << 40, inputs=False, destinations=workload.destinations)
        return [t.numel() * t.element_size() for t in got.tensors]

    def truth(self, recipe: dict[str, object], key: int, before: list[torch.Tensor] | None, workload: Workload) -> Truth:
        """What is right for the contents of a recipe."""
        session, cotangents = self.session, None
        destinations = workload.destinations
        with self.turn(self.eager):
            if session.job.backward:
                found = self.eager.call(
                    key, None, recipe=recipe, seed=session.build_seed, backward=False, destinations=destinations
                )
                forward = self.eager.collect(found, 1 << 40)
                generator, home = session.generator("cotangents", key), session.home
                cotangents = [
                    torch.randn(t.shape, generator=generator, dtype=torch.float32, device=home).to(t.dtype) for t in forward.tensors
                ]
            _, eager = session.ask(self.eager, recipe, 1 << 40, key, cotangents, destinations=destinations)
            input_bytes = sum(t.numel() * t.element_size() for t in eager.inputs)
            changed = [] if before is None else checks.inputs_changed(eager.inputs, before)
            if self.apart is not None:
                eager.inputs = []
        want, allowed, own, oracle = eager.tensors, 1.0, 0.0, "eager"
        if self.oracle is not None:
            try:
                with self.turn(self.oracle, double=True):
                    _, wide = session.ask(
                        self.oracle, recipe, 1 << 40, key, cotangents, inputs=False, double=True, destinations=destinations
                    )
                if [t.shape for t in wide.tensors] == [t.shape for t in eager.tensors]:
                    want, oracle = wide.tensors, "float64"
                    own = self._error(want, eager)
                    allowed = max(1.0, 4 * own)
            except (HostFailure, DeviceFull) as failure:
                self._without(str(failure))
        if oracle == "float64" and self._hopeless(eager, allowed):
            # Dropout draws other numbers in float64, and some deep nets in training mode magnify any difference. What is left is
            # the baseline's answer in its own type, and how far a second one is from it.
            with self.turn(self.eager):
                _, again = session.ask(self.eager, recipe, 1 << 40, key, cotangents, inputs=False, destinations=destinations)
            want, oracle, own = eager.tensors, "eager", self._error(eager.tensors, again)
            allowed = max(1.0, 4 * own)
        return Truth(eager, input_bytes, want, allowed, own, cotangents, changed, oracle, self._hopeless(eager, allowed))

    def _hopeless(self, eager: Answer, allowed: float) -> bool:
        """Whether the tolerance has become as large as the answer."""
        job = self.session.job
        tolerances = [max(tolerance_of(t.dtype, job.rtol, job.atol)) for t in eager.tensors if t.is_floating_point()]
        return allowed * max(tolerances, default=0.0) > HOPELESS

    def _error(self, want: list[torch.Tensor], got: Answer) -> float:
        job = self.session.job
        dtypes = [t.dtype for t in got.tensors]
        return compare(want, got.tensors, got.tensors, dtypes, job.rtol, job.atol, math.inf).worst
