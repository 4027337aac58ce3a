"""What would nothing score? Null answers beside the truth: a problem that one of them passes is degenerate."""

from __future__ import annotations

import torch

from .compare import compare
from .draws import role_of
from .reference import Reference, Truth
from .replies import HostFailure
from .session import Session

NULLS = ("zeros", "ones", "mean", "input_copy", "random")


def _null(kind: str, want: torch.Tensor, inputs: list[torch.Tensor], generator: torch.Generator) -> torch.Tensor | None:
    if kind == "zeros":
        return torch.zeros_like(want)
    if kind == "ones":
        return torch.ones_like(want)
    if kind == "mean" and want.is_floating_point():
        return torch.full_like(want, float(want.double().mean()) if want.numel() > 0 else 0.0)
    if kind == "random" and want.is_floating_point():
        return torch.randn(want.shape, generator=generator, device=want.device).to(want.dtype)
    if kind == "input_copy":
        for tensor in inputs:
            if tensor.dtype == want.dtype and tensor.numel() == want.numel():
                return tensor.reshape(want.shape)
    return None


def _passes(session: Session, kind: str, truth: Truth, inputs: list[torch.Tensor], generator: torch.Generator) -> bool:
    wanted = truth.eager.tensors
    made = [_null(kind, t, inputs, generator) for t in wanted]
    if not made or any(m is None for m in made):
        return False
    got = [m for m in made if m is not None]
    dtypes = [t.dtype for t in wanted]
    return compare(truth.want, wanted, got, dtypes, session.job.rtol, session.job.atol, truth.allowed).ok


def grade(session: Session) -> None:
    """Each workload's nulls on two draws: one that passes on both passes."""
    reference = Reference(session)
    generator = session.generator("nulls", 0)
    for workload in session.job.problem.workloads:
        passing, same, previous = dict.fromkeys(NULLS, True), True, None
        try:
            for k in range(2):
                draw = session.draw(reference.eager, workload, k)
                if draw is None:
                    break
                with session.phase("reference"):
                    reference.give([draw], [role_of(t) for t in draw.tensors], session.large(draw))
                    truth = reference.truth({"draw": 0}, 0, draw.tensors, workload)
                for kind in NULLS:
                    passing[kind] = passing[kind] and _passes(session, kind, truth, draw.tensors, generator)
                if previous is not None:
                    dtypes = [t.dtype for t in truth.eager.tensors]
                    shapes = [t.shape for t in previous] == [t.shape for t in truth.eager.tensors]
                    same = shapes and compare(previous, None, truth.eager.tensors, dtypes, None, None, 1.0).ok
                previous = truth.eager.tensors
        except HostFailure as failure:
            session.report(reference.eager, failure, workload.uuid)
            return
        if previous is None:
            session.emit("skipped", workload=workload.uuid, trial="", reason="there is no such sample")
            continue
        empty = all(t.numel() == 0 for t in previous)
        session.emit(
            "graded", workload=workload.uuid, empty=empty, nulls=passing, constant=same,
            degenerate=empty or same or any(passing.values()),
        )  # fmt: skip
