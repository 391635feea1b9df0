"""Measures over many cases: what the report is made of."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from mipseg.metrics import match_lesions
from mipseg.types import BinaryMask

LESION_SIZES = (1, 10, 50, 250, float("inf"))  # px
RELIABILITY_BINS = 8
Vector = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def auc(score: Vector, has_tumour: Truth) -> float:
    """Area under the ROC curve, by ranks (Mann-Whitney U; ties count half)."""
    ranks = stats.rankdata(score)
    positive, negative = int(has_tumour.sum()), int((~has_tumour).sum())
    return float((ranks[has_tumour].sum() - positive * (positive + 1) / 2) / (positive * negative))


class ReliabilityBin(NamedTuple):
    """Cases of like predicted probability.

    Attributes:
        predicted: mean predicted probability of being a patient.
        observed: share of patients.
        cases: how many.
    """

    predicted: float
    observed: float
    cases: int


def reliability(score: Vector, has_tumour: Truth) -> list[ReliabilityBin]:
    """The reliability curve over bins of equal width; bins without a case are left out (Murphy and Winkler 1977).

    Args:
        score: (N,) predicted probability in [0, 1].
        has_tumour: (N,) truth.
    """
    number = np.minimum((score * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    bins = (number == n for n in range(RELIABILITY_BINS))
    return [ReliabilityBin(float(score[b].mean()), float(has_tumour[b].mean()), int(b.sum())) for b in bins if b.any()]


def bootstrap_interval(values: Vector, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean over 10,000 resamples of the cases."""
    draws = np.random.default_rng(seed).integers(len(values), size=(10_000, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)


def lesion_report(pairs: Sequence[tuple[BinaryMask, BinaryMask]]) -> dict[str, Any]:
    """Sensitivity and positive predictive value over all lesions of all patients, by size, and F1.

    Args:
        pairs: reference and prediction of each patient.
    """
    report: dict[str, Any] = {}
    for name, min_iou in (("any_overlap", 0.0), ("iou_0.1", 0.1)):
        matches = [match_lesions(reference, prediction, min_iou) for reference, prediction in pairs]
        found, true = np.concatenate([m.found for m in matches]), np.concatenate([m.true for m in matches])
        sensitivity, ppv = float(found.mean()), float(true.mean()) if true.size else 0.0
        report[name] = {
            "sensitivity": sensitivity,
            "ppv": ppv,
            "f1": 2 * sensitivity * ppv / (sensitivity + ppv) if sensitivity + ppv else 0.0,
            "sensitivity_by_px": _by_size(np.concatenate([m.reference_area for m in matches]), found),
            "ppv_by_px": _by_size(np.concatenate([m.prediction_area for m in matches]), true),
        }
    return report


def _by_size(areas: npt.NDArray[np.int64], good: Truth) -> dict[str, list[float | int | None]]:
    """For each class of size: share of the good ones (None without any) and how many there are."""
    report: dict[str, list[float | int | None]] = {}
    for low, high in pairwise(LESION_SIZES):
        inside = good[(areas >= low) & (areas < high)]
        name = f"{low:.0f}-{high - 1:.0f}" if np.isfinite(high) else f"{low:.0f}+"
        report[name] = [round(float(inside.mean()), 4) if inside.size else None, int(inside.size)]
    return report
