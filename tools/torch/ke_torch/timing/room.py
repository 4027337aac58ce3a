"""Whether what a queued measurement holds fits on the device: everything at once, or what one host holds in its turn."""

from __future__ import annotations

import torch

from ..judging.session import Session
from .batches import RING_BYTES
from .report import Bench

# Of what is free; what a process takes for itself, and what comparing takes.
SHARE, PROCESS_BYTES, COMPARE_BYTES = 0.9, 1 << 30, 6 << 30
# Answers that a queue may hold of each process: the most calls of a batch.
QUEUED = 24


def _inputs(m: Bench) -> int:
    return sum(t.numel() * t.element_size() for t in m.draws[0].tensors)


def _starting(session: Session, hosts: int) -> int:
    return max(1, hosts - sum(not h.closed and h.role in ("candidate", "baseline", "control") for h in session.hosts))


def _weights(session: Session) -> int:
    return sum(t.numel() * t.element_size() for t in session.weights.tensors)


def together(session: Session, m: Bench, hosts: int) -> bool:
    """Of so many hosts draws, live tensors, weights and kept answers, beside what the judge holds; those that run have theirs."""
    inputs, answers = _inputs(m), sum(m.sizes)
    host = (len(m.draws) + 3) * inputs + 3 * _weights(session) + 3 * answers + min(RING_BYTES, QUEUED * answers) + PROCESS_BYTES
    # What is right, in float64 too, and what is compared with it.
    judge = 3 * inputs + 8 * answers
    return _starting(session, hosts) * host + judge < SHARE * torch.cuda.mem_get_info(session.home)[0]


def in_turns(session: Session, m: Bench, hosts: int) -> str:
    """Why not even one host's turn fits, or nothing: draws with the judge and with the host, and its live tensors; two patterns
    of poison, two kept answers, a box, and two answers that are compared; the boxes of a verification, of inputs and both ways."""
    need = (2 * len(m.draws) + 3) * _inputs(m) + 7 * sum(m.sizes) + COMPARE_BYTES
    need += _starting(session, hosts) * (PROCESS_BYTES + _weights(session))
    free = torch.cuda.mem_get_info(session.home)[0]
    return "" if need < free else f"a measurement takes {need / 2**30:.0f} GiB of device memory, and {free / 2**30:.0f} are free"
