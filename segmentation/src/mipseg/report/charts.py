"""What the charts show, worked out; the templates draw it as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mipseg.metrics import CalibrationBin

# Two classes a decade: close enough together to see a distribution, and few enough to label each.
LOG_EDGES = tuple(round(base * 10.0**power, 10) for power in range(-1, 5) for base in (1, 3))
DICE_BINS = 10


@dataclass(frozen=True)
class Bar:
    """One class of a histogram.

    Attributes:
        label: the lower end of the class, or `< 0.1`.
        count: cases in it.
    """

    label: str
    count: int


@dataclass(frozen=True)
class Histogram:
    """Cases by class.

    Attributes:
        title: what is counted, with its unit.
        bars: of all classes, also of empty ones between others.
        median: of the values; None without any.
        decimals: of the median, that are shown.
        text: the same in words, for those who do not see it.
    """

    title: str
    bars: tuple[Bar, ...]
    median: float | None
    decimals: int
    text: str

    @property
    def highest(self) -> int:
        """The count of the highest bar, at least 1."""
        return max((bar.count for bar in self.bars), default=0) or 1


def log_histogram(title: str, values: Sequence[float]) -> Histogram:
    """Count values that range over several powers of ten; 0 has a class of its own.

    Args:
        title: what they are, with their unit.
        values: none below 0.
    """
    classes = [("0", [value for value in values if value == 0])]
    first, last = LOG_EDGES[0], LOG_EDGES[-1]
    classes.append((f"< {first:g}", [value for value in values if 0 < value < first]))
    for low, high in pairwise(LOG_EDGES):
        classes.append((_short(low), [value for value in values if low <= value < high]))
    classes.append((_short(last), [value for value in values if value >= last]))
    filled = [place for place, (_, inside) in enumerate(classes) if inside]
    kept = classes[min(filled) : max(filled) + 1] if filled else []
    return _histogram(title, [Bar(label, len(inside)) for label, inside in kept], values, 1)


def dice_histogram(title: str, values: Sequence[float]) -> Histogram:
    """Count Dice scores in ten classes; 1 is in the last."""
    counts = [0] * DICE_BINS
    for value in values:
        counts[min(math.floor(value * DICE_BINS + 1e-9), DICE_BINS - 1)] += 1
    bars = [Bar(f"{place / DICE_BINS:.1f}", count) for place, count in enumerate(counts)]
    return _histogram(title, bars, values, 3)


def _histogram(title: str, bars: Sequence[Bar], values: Sequence[float], decimals: int) -> Histogram:
    ordered, middle = sorted(values), len(values) // 2
    median = None
    if ordered:
        median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    told = "; ".join(f"{bar.label}: {bar.count}" for bar in bars if bar.count)
    return Histogram(
        title, tuple(bars), median, decimals, f"{title}. Cases by the lower end of their class: {told or 'none'}"
    )


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


@dataclass(frozen=True)
class Point:
    """A place in the square from 0 to 1.

    Attributes:
        x: across.
        y: up.
        label: what it is.
        kind: `dot`; of a comparison `win` or `loss`.
    """

    x: float
    y: float
    label: str
    kind: str = "dot"


@dataclass(frozen=True)
class Square:
    """Points in the square from 0 to 1.

    Attributes:
        points: in the order in which they are drawn.
        joined: whether a line goes through them, and their labels are written beside them.
        text: the same in words.
    """

    points: tuple[Point, ...]
    joined: bool
    text: str


def calibration_square(groups: Sequence[CalibrationBin]) -> Square:
    """The calibration curve; each point is labelled with its number of cases."""
    points = tuple(Point(group.predicted, group.observed, str(group.cases)) for group in groups)
    told = "; ".join(f"{g.predicted:.2f} predicted, {g.observed:.2f} observed, {g.cases} cases" for g in groups)
    return Square(points, joined=True, text=told)


def comparison_square(pairs: Sequence[tuple[str, float, float]]) -> Square:
    """The Dice of patients in two predictions.

    Args:
        pairs: name, Dice of the other one, Dice of this one.
    """
    kinds = {1: "win", -1: "loss", 0: "dot"}
    points = tuple(
        Point(other, dice, f"{name}: {other:.3f}, {dice:.3f}", kinds[(dice > other) - (dice < other)])
        for name, other, dice in pairs
    )
    return Square(points, joined=False, text=f"{len(points)} patients")
