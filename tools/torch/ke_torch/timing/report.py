"""What a benchmark tells: times, ratios with their intervals, and what its clocks say of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..formats import Workload
from ..judging.draws import Draw, Role
from ..judging.replies import Call
from ..judging.session import Session
from .estimate import Series, estimate, estimate_launches, half_width, median, quantile

if TYPE_CHECKING:
    from .batches import Place, Queued

CANDIDATE, CONTROL, MAIN = 0, 1, 2


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
    check_seconds: float = 0.0
    sizes: list[int] = field(default_factory=list)
    conduct: set[str] = field(default_factory=set)
    finished: bool = False


def _timing(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median_ns": quantile(ordered, 0.5), "p10_ns": quantile(ordered, 0.1), "p90_ns": quantile(ordered, 0.9),
            "samples": len(ordered)}  # fmt: skip


def clocks(m: Bench, device: bool) -> dict[str, Any]:
    """What the clocks say of each other, ns: gaps of candidate and baseline, and whether the candidate's gain is seen by both."""

    def middle(h: int, pick: Any) -> float:
        return median([float(pick(c)) for c in m.times[h]])

    def collected(h: int) -> float:
        found = [float(c.collect_ns) for c in m.times[h] if c.collect_ns > 0]
        return median(found) if found else 0.0

    own = (lambda c: c.device_ns) if device else (lambda c: c.inner_ns)
    gain_own = middle(MAIN, own) - middle(CANDIDATE, own)
    gain_judge = middle(MAIN, lambda c: c.judge_ns) - middle(CANDIDATE, lambda c: c.judge_ns)
    spread = middle(MAIN, lambda c: abs(c.judge_ns - middle(MAIN, lambda d: d.judge_ns)))
    allowed = 5000 + 0.2 * abs(gain_own) + 2 * spread
    # Work that goes on after "done" shows before the answer is handed out; that takes as long as the answer is large, and varies
    # with it.
    late = collected(CANDIDATE) - collected(MAIN)
    finish = middle(CANDIDATE, lambda c: c.finish_ns) - middle(MAIN, lambda c: c.finish_ns)
    usual = middle(MAIN, lambda c: c.finish_ns)
    arm = middle(CANDIDATE, lambda c: c.arm_ns) - middle(MAIN, lambda c: c.arm_ns)
    tail = middle(CANDIDATE, lambda c: c.tail_ns) - middle(MAIN, lambda c: c.tail_ns)
    base = middle(MAIN, lambda c: c.judge_ns)

    def noise(pick: Any) -> float:
        """How far the baseline's own values lie from their middle, and the control's middle from it."""
        centre = middle(MAIN, pick)
        apart = abs(middle(CONTROL, pick) - centre) if CONTROL in m.times else 0.0
        return 3 * apart + 3 * middle(MAIN, lambda c: abs(pick(c) - centre))

    return {
        "gain_own_ns": gain_own,
        "gain_judge_ns": gain_judge,
        "clocks_agree": abs(gain_own - gain_judge) <= allowed,
        "late_collect_ns": late,
        "late_finish_ns": finish,
        "late_collect": finish > max(2e6, 0.5 * base, usual, noise(lambda c: c.finish_ns))
        or late > max(2e6, 0.5 * base, 0.5 * collected(MAIN), noise(lambda c: c.collect_ns)),
        "late_start_ns": arm,
        "late_start": arm > max(2e6, 0.5 * base, noise(lambda c: c.arm_ns)),
        "unjoined_ns": tail,
        "unjoined": tail > max(20000, 0.1 * base),
    }


def report(session: Session, m: Bench, device: bool, throttling: str = "none") -> None:
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
        checked=m.checked, compared=m.compared, clock="device events" if device else "judge",
        throttling=throttling, cache=session.job.cache, clocks={"mode": "single", **found},
        flags=flags + sorted(m.conduct), draws=len(m.draws),
        resolved=main.high / max(main.low, 1e-9) - 1 <= session.job.target_width,
        seconds=m.seconds,
    )  # fmt: skip


def _times(places: list[Place]) -> dict[str, float]:
    values = [float(v) for p in places for b in p.batches for v in b.device_ns]
    host = [float(b.host_ns) for p in places for b in p.batches]
    return {**_timing(values), "host_ns": median(host)}


def queued_clocks(found: Queued) -> dict[str, Any]:
    """The device's events beside the judge's clock, a call of the candidate beside one of the baseline, ns."""

    def middle(places: list[Place], pick: Any) -> float:
        return median([float(v) for p in places for b in p.batches for v in pick(b)])

    def plain(places: list[Place], pick: Any) -> float:
        return median([float(pick(c)) for p in places for c in p.plain])

    own, base, twin = found.candidates, found.copies[:1], found.copies[1:]
    gain_own = middle(base, lambda b: b.device_ns) - middle(own, lambda b: b.device_ns)
    gain_judge = middle(base, lambda b: b.judge_ns) - middle(own, lambda b: b.judge_ns)
    # What two copies of one program differ by on the judge's clock says what means nothing.
    noise = abs(middle(base, lambda b: b.judge_ns) - middle(twin, lambda b: b.judge_ns))
    finish = middle(own, lambda b: [b.finish_ns]) - middle(base, lambda b: [b.finish_ns])
    tail = plain(own, lambda c: c.tail_ns) - plain(base, lambda c: c.tail_ns)
    one = middle(base, lambda b: b.device_ns)
    return {
        "mode": found.mode,
        "calls_a_batch": found.count,
        "gain_own_ns": gain_own,
        "gain_judge_ns": gain_judge,
        "judge_noise_ns": noise,
        "clocks_agree": abs(gain_own - gain_judge) <= 3000 + 0.2 * abs(gain_own) + 3 * noise,
        "null_ns": {
            "candidate": median([found.offset(p) for p in own]),
            "baseline": median([found.offset(p) for p in found.copies]),
        },
        "late_finish_ns": finish,
        "late_collect": finish > max(2e6, 0.5 * one * found.count),
        "unjoined_ns": tail,
        "unjoined": tail > max(20000, 0.1 * one),
    }


def report_queued(session: Session, m: Bench, found: Queued) -> None:
    """The workload's line, where calls were queued."""
    if m.rounds < 2:
        session.emit("unmeasured", workload=m.workload.uuid, rejected=m.rejected, rounds=m.rounds)
        return
    baselines = []
    for place in [found.main, *found.others]:
        i = estimate_launches(found.launches(place))
        of_it = found.copies if place is found.main else [place]
        baselines.append({"name": place.name, "timing": _times(of_it), "ratio": i.ratio, "low": i.low, "high": i.high})
    clocks_ = queued_clocks(found)
    flags = [name for name in ("late_collect", "unjoined") if clocks_[name]]
    if not clocks_["clocks_agree"]:
        flags.append("clock_disagreement")
    apart = [math.log(a / b) for a, b in zip(found.main.rounds, found.copies[1].rounds, strict=True)]
    _, half = half_width(apart)
    main = estimate_launches(found.launches(found.main))
    session.emit(
        "benchmarked", workload=m.workload.uuid, candidate=_times(found.candidates), baselines=baselines,
        control_bias=math.exp(abs(median(apart))) - 1, control_half_width=math.exp(half) - 1 if half < 50 else None,
        pairs=m.rounds * len(found.candidates), rejected=m.rejected, generations=len(found.candidates), rounds=m.rounds,
        launches={p.name + str(k): [round(median(p.rounds)), round(found.offset(p))] for k, p in enumerate(found.places)},
        checked=m.checked, compared=m.compared, clock="device events, queued calls", cache=session.job.cache, clocks=clocks_,
        throttling=found.thermal.source, flags=flags + sorted(m.conduct), draws=len(m.draws),
        resolved=main.high / max(main.low, 1e-9) - 1 <= session.job.target_width, seconds=m.seconds,
    )  # fmt: skip
