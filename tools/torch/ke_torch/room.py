"""Whether everything that a queued measurement holds fits on the device at once."""

from __future__ import annotations

import torch

from .batches import RING_BYTES
from .reference import Reference
from .report import Bench
from .session import Session

# Of what is free; and what a process takes for itself.
SHARE, PROCESS_BYTES = 0.9, 1 << 30
# Answers that a queue may hold of each process: the most calls of a batch.
QUEUED = 24


def room(session: Session, reference: Reference, m: Bench, hosts: int) -> bool:
    """Of so many hosts draws, live tensors, weights and kept answers, beside what the judge holds; those that run have theirs."""
    inputs = sum(t.numel() * t.element_size() for t in m.draws[0].tensors)
    weights = sum(t.numel() * t.element_size() for t in session.weights.tensors)
    if not m.sizes:
        _, got = session.ask(reference.eager, {"draw": 0}, 1 << 40, destinations=m.workload.destinations)
        m.sizes = [t.numel() * t.element_size() for t in got.tensors]
    answers = sum(m.sizes)
    running = sum(not h.closed and h.role in ("candidate", "baseline", "control") for h in session.hosts)
    host = (len(m.draws) + 3) * inputs + 3 * weights + 3 * answers + min(RING_BYTES, QUEUED * answers) + PROCESS_BYTES
    # What is right, in float64 too, and what is compared with it.
    judge = 3 * inputs + 8 * answers
    return max(1, hosts - running) * host + judge < SHARE * torch.cuda.mem_get_info(session.home)[0]
