"""Queued calls where not all hosts' inputs fit on the device at once: whoever's turn it is gets them, and gives them up after it.

Slower by the copying, which is not timed. All launches of the candidate share the memory by which the judge passes tensors: it is
never freed while one of them lives, and could be held open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..boundary.mailbox import Box
from ..judging.replies import Answer
from ..judging.verify import judge_answer
from .batches import DENSE, Place, Queued
from .estimate import median

# Calls of a batch, at least; and of a candidate's answers how much more than it should be is read.
LEAST, MORE = 2, 1 << 20


def _largest(boxes: list[Box | None]) -> Box | None:
    return max((b for b in boxes if b is not None), key=lambda b: b.nbytes, default=None)


class Turns(Queued):
    """One workload's measurement."""

    mode = "queued in turns"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.few()
        # The process that was verified has some already.
        self.inbox = _largest([p.host.inbox for p in self.candidates])
        self.outbox = _largest([p.host.outbox for p in self.candidates])

    @contextmanager
    def turn(self, place: Place) -> Iterator[None]:
        """While this host has the inputs."""
        host, own = place.host, place in self.candidates
        if own:
            host.inbox, host.outbox = self.inbox or host.inbox, self.outbox or host.outbox
        self.session.give(host, self.m.draws, self.m.roles)
        yield
        self.session.rest(host, inputs=True)
        if own:
            self.inbox, self.outbox = host.inbox, host.outbox

    def limit(self, place: Place) -> int:
        """How much of an answer is read, bytes."""
        return 2 * sum(self.m.sizes) + MORE if place in self.candidates else 1 << 40

    def warm_up(self) -> None:
        """In every host a call that is looked at, and a small batch that sizes those that count."""
        m, key, counts = self.m, secrets.randbits(62) | 1, []
        truth = self.reference.truth(DENSE, key, None, m.workload)
        m.sizes = truth.sizes
        for place in self.places:
            with self.turn(place):
                call = place.host.call(key, None, **self.plain())
                got = place.host.collect(call, self.limit(place))
                if place in self.candidates:
                    self.judged(got, judge_answer(self.session, truth, got, None))
                    m.checked += 1
                del got
                counts.append(self.calls(self.batch(place, [secrets.randbits(62) | 1 for _ in range(LEAST)]), LEAST))
                place.batches.clear()
        self.count = min(counts)
        del truth
        if self.session.home.type != "cpu":
            torch.cuda.empty_cache()

    def round(self) -> list[tuple[float, float]]:
        """Every host's turn with the same keys, in random order; an answer of one launch, chosen now, is looked at."""
        m, keys = self.m, [secrets.randbits(62) | 1 for _ in range(self.count)]
        looked, index = self.random.choice(self.candidates), self.random.randrange(len(keys))
        medians, kept = [(0.0, 0.0)] * len(self.places), dict[str, Answer]()
        for n in self.random.sample(range(len(self.places)), len(self.places)):
            place = self.places[n]
            with self.turn(place):
                # Its memory is new; the call before the batch finds it so.
                call = place.host.call(secrets.randbits(62) | 1, None, **self.plain())
                place.host.finish(call)
                place.plain.append(call)
                batch = self.batch(place, keys)
                calls, nulls = (v[1:] if len(v) > 2 else v for v in (batch.device_ns, batch.null_ns))
                medians[n] = max(1.0, median([float(v) for v in calls])), median([float(v) for v in nulls])
                if place is self.main or place is looked:
                    kept["base" if place is self.main else "got"] = place.host.kept(index, self.limit(place))
        base, got = kept["base"], kept["got"]
        m.compared += 1
        self.judged(got, self.beside(base, got))
        if m.rounds in (1, 8) or self.random.random() < 0.05:
            kept.clear()
            del base
            m.checked += 1
            self.judged(got, judge_answer(self.session, self.reference.truth(DENSE, keys[index], None, m.workload), got, None))
        return medians
