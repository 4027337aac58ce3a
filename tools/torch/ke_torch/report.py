"""What a benchmark tells: times, ratios with their intervals, and what its clocks say of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .client import Call
from .draws import Draw, Role
from .estimate import Series, estimate, half_width, median, quantile
from .formats import Workload
from .session import Session

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
    late = collected(CANDIDATE) - collected(MAIN)
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
        flags=flags + sorted(m.conduct), draws=len(m.draws),
        resolved=main.high / max(main.low, 1e-9) - 1 <= session.job.target_width,
        seconds=m.seconds,
    )  # fmt: skip
