"""From paired log ratios to a ratio with its 95 % interval.

Two launches of one program differ, so the unit that counts is the generation (a launch of all hosts), not the call; the control (a
second copy of the baseline in the same rounds) says how large a difference means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
# The clocks' and the handshake's own share; on a device what two launches of one program may differ by unseen.
FLOOR, LAUNCH_FLOOR = 0.001, 0.006


@dataclass
class Series:
    """Median log ratio of each generation, and all log ratios."""

    middles: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, generation: Sequence[float]) -> None:
        """Takes one generation's log ratios."""
        self.middles.append(median(generation))
        self.values.extend(generation)


@dataclass(frozen=True)
class Interval:
    """A ratio, and where it lies with 95 %."""

    ratio: float
    low: float
    high: float


def quantile(ordered: Sequence[float], q: float) -> float:
    """Of sorted values, with interpolation."""
    if not ordered:
        return math.nan
    at = q * (len(ordered) - 1)
    low = int(at)
    if low + 1 >= len(ordered):
        return ordered[-1]
    return ordered[low] * (1 - (at - low)) + ordered[low + 1] * (at - low)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return quantile(sorted(values), 0.5)


def student(degrees: int) -> float:
    """97.5 % quantile of Student's t."""
    if degrees < 1:
        return math.inf
    return _STUDENT[degrees - 1] if degrees <= len(_STUDENT) else 2.04


def deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation."""
    if not values:
        return math.nan, math.inf
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, math.inf
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def half_width(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval."""
    mean, spread = deviation(values)
    return mean, student(len(values) - 1) * spread / math.sqrt(len(values)) if len(values) > 1 else math.inf


def estimate(series: Series, control: Series) -> Interval:
    """The ratio's interval, never narrower than what the control shows to be no difference."""
    n = len(series.middles)
    mean, own = deviation(series.middles)
    bias, other = deviation(control.middles)
    half = student(n - 1) * own / math.sqrt(n)
    if own < other:
        # Few generations may agree by luck: then the control's spread speaks too.
        half = student(2 * (n - 1)) * math.sqrt((own * own + other * other) / 2) / math.sqrt(n)
    ordered = sorted(series.values)
    centre, reach = quantile(ordered, 0.5), 0.98 / math.sqrt(max(1, len(ordered)))
    order = (quantile(ordered, min(1.0, 0.5 + reach)) - quantile(ordered, max(0.0, 0.5 - reach))) / 2
    wide = max(half, order, abs(bias)) + FLOOR
    if not math.isfinite(wide):
        return Interval(math.exp(centre), 0.0, math.inf)
    return Interval(math.exp(centre), math.exp(min(mean - wide, centre)), math.exp(max(mean + wide, centre)))


@dataclass
class Launches:
    """Log times by launch and round: of the candidate's launches, of the baseline's, and of other launches of the main baseline,
    which say how launches of one program differ where the baseline itself has one launch only.
    """

    own: list[list[float]]
    base: list[list[float]]
    others: list[list[float]] = field(default_factory=list)


def _squares(launches: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Sum of squares of the launches' middles about their mean, and its degrees of freedom."""
    middles = [median(values) for values in launches]
    mean = sum(middles) / len(middles) if middles else 0.0
    return sum((v - mean) ** 2 for v in middles), max(0, len(middles) - 1)


def estimate_launches(found: Launches) -> Interval:
    """The ratio's interval where launches run beside each other: the spread between launches, the candidate's and the baseline's
    pooled, and the noise within them.
    """
    n, k = len(found.own), len(found.base)
    rounds = min((len(values) for values in (*found.own, *found.base)), default=0)
    if n == 0 or k == 0 or rounds < 2:
        return Interval(math.nan, 0.0, math.inf)
    centre = sum(median(v) for v in found.base) / k - sum(median(v) for v in found.own) / n
    parts = [_squares(group) for group in (found.own, found.base, found.others) if group]
    degrees = sum(d for _, d in parts)
    spread = math.sqrt(sum(s for s, _ in parts) / degrees) if degrees else math.inf
    between = student(degrees) * spread * math.sqrt(1 / n + 1 / k) if degrees else math.inf
    pooled = sorted(sum(v[r] for v in found.base) / k - sum(v[r] for v in found.own) / n for r in range(rounds))
    reach = 0.98 / math.sqrt(rounds)
    within = (quantile(pooled, min(1.0, 0.5 + reach)) - quantile(pooled, max(0.0, 0.5 - reach))) / 2
    wide = math.hypot(between, within) + LAUNCH_FLOOR
    if not math.isfinite(wide):
        return Interval(math.exp(centre), 0.0, math.inf)
    return Interval(math.exp(centre), math.exp(centre - wide), math.exp(centre + wide))
