"""From scored cases to what a method is worth: Dice with its interval, lesions by size, controls, times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mipseg.constants import REPLY_DEADLINE_S
from mipseg.evaluation.scoring import ScoredCase, Scores
from mipseg.metrics import CalibrationBin, bootstrap_interval, calibration_bins, size_classes

SIZES = {"px": (1.0, 10.0, 50.0, 250.0), "ml": (0.0, 1.0, 5.0, 20.0)}  # where the classes of lesions begin


@dataclass(frozen=True)
class Interval:
    """A mean and where it lies, with 95 % confidence, by bootstrap over cases (Efron 1979, percentile).

    Attributes:
        mean: of the cases; None without any.
        low: lower end; None for fewer than 2 cases, as is the next.
        high: upper end.
        cases: their number.
    """

    mean: float | None
    low: float | None
    high: float | None
    cases: int


@dataclass(frozen=True)
class SizeRow:
    """Lesions of one size.

    Attributes:
        size: such as `10-49 px`.
        reference: lesions of this size in the references.
        found: those of them that a predicted lesion overlaps.
        prediction: lesions of this size in the predictions.
        true: those of them that overlap a lesion of the reference.
    """

    size: str
    reference: int
    found: int
    prediction: int
    true: int


@dataclass(frozen=True)
class Timings:
    """How long the answers took.

    Attributes:
        images: how many were asked for.
        p50_s: half of them took at most so many seconds.
        p95_s: 95 % of them did.
        max_s: the slowest.
        late: after `REPLY_DEADLINE_S`, for which the championship's judge gives 0.
    """

    images: int
    p50_s: float
    p95_s: float
    max_s: float
    late: int


@dataclass(frozen=True)
class Comparison:
    """Two predictions of the same cases; differences are the first's minus the other's.

    Attributes:
        difference: of the Dice, over the patients of both, case by case.
        wins: patients with a higher Dice in the first.
        losses: with a lower one.
        ties: with the same.
        controls: of both.
        clean: controls that are clean in the first.
        clean_other: in the other.
        failed: why the other has no usable prediction, by name.
    """

    difference: Interval
    wins: int
    losses: int
    ties: int
    controls: int
    clean: int
    clean_other: int
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Evaluation:
    """What predictions are worth.

    Attributes:
        dice: of the cases whose reference has tumour.
        lesions: by size, of all cases.
        controls: cases whose reference has no tumour.
        clean_controls: those of them that are clean; see `mipseg.metrics.is_clean`.
        empty_controls: those of them whose prediction has no tumour at all.
        scores: Dice of each case by name; of a control 1 or 0.
        failed: why there was no prediction that could be used, by name.
        calibration: predicted probability of a tumour anywhere against its observed share; empty without probabilities.
        timings: None where no endpoint was asked.
        seconds: of each answer of an endpoint, by name.
    """

    dice: Interval
    lesions: tuple[SizeRow, ...]
    controls: int
    clean_controls: int
    empty_controls: int
    scores: dict[str, float]
    failed: dict[str, str]
    calibration: tuple[CalibrationBin, ...]
    timings: Timings | None
    seconds: dict[str, float]


def evaluate(scores: Scores) -> Evaluation:
    """Put the scores of all cases together."""
    cases = scores.cases
    controls = [case for case in cases if not case.is_patient]
    seconds = {case.name: case.seconds for case in cases if case.seconds is not None}
    rated = [case for case in cases if case.has_tumour is not None]
    probability = np.array([case.has_tumour for case in rated], np.float64)
    return Evaluation(
        dice=interval([case.dice for case in cases if case.is_patient]),
        lesions=_by_size(cases, scores.unit),
        controls=len(controls),
        clean_controls=sum(case.is_clean for case in controls),
        empty_controls=sum(case.is_empty for case in controls),
        scores={case.name: case.dice for case in cases},
        failed=dict(scores.failed),
        calibration=tuple(calibration_bins(probability, np.array([case.is_patient for case in rated], bool))),
        timings=time_report(list(seconds.values())) if seconds else None,
        seconds=seconds,
    )


def compare_cases(first: Scores, other: Scores) -> Comparison:
    """Compare two predictions on the cases that both have.

    Args:
        first: what is asked about.
        other: what it is compared with.
    """
    by_name = {case.name: case for case in other.cases}
    pairs = [(case, by_name[case.name]) for case in first.cases if case.name in by_name]
    differences = [one.dice - two.dice for one, two in pairs if one.is_patient]
    controls = [(one, two) for one, two in pairs if not one.is_patient]
    return Comparison(
        difference=interval(differences),
        wins=sum(difference > 0 for difference in differences),
        losses=sum(difference < 0 for difference in differences),
        ties=sum(difference == 0 for difference in differences),
        controls=len(controls),
        clean=sum(one.is_clean for one, _ in controls),
        clean_other=sum(two.is_clean for _, two in controls),
        failed=dict(other.failed),
    )


def interval(values: Sequence[float]) -> Interval:
    """The mean of one value a case, and its 95 % interval."""
    if len(values) < 2:
        return Interval(values[0] if values else None, None, None, len(values))
    low, high = bootstrap_interval(np.asarray(values))
    return Interval(float(np.mean(values)), low, high, len(values))


def time_report(seconds: Sequence[float]) -> Timings:
    """Summarise how long the answers took, of which there is at least one."""
    p50, p95, slowest = (float(part) for part in np.percentile(seconds, (50, 95, 100)))
    return Timings(len(seconds), p50, p95, slowest, sum(each > REPLY_DEADLINE_S for each in seconds))


def _by_size(cases: Sequence[ScoredCase], unit: str) -> tuple[SizeRow, ...]:
    matches, sides = [case.match for case in cases], [case.side for case in cases]
    areas = [match.reference_area * side for match, side in zip(matches, sides, strict=True)]
    reference = size_classes(areas, [match.found for match in matches], SIZES[unit])
    areas = [match.prediction_area * side for match, side in zip(matches, sides, strict=True)]
    prediction = size_classes(areas, [match.true for match in matches], SIZES[unit])
    rows = []
    for one, other in zip(reference, prediction, strict=True):
        last = one.high - 1 if unit == "px" else one.high  # pixels are whole: of 10 to 49
        size = f"from {one.low:g} {unit}" if np.isinf(last) else f"{one.low:g}-{last:g} {unit}"
        rows.append(SizeRow(size, one.lesions, one.good, other.lesions, other.good))
    return tuple(rows)
