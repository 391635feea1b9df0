"""Measures over many cases: what the report is made of."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from mipseg.metrics import match_lesions
from mipseg.types import BinaryMask

LESION_SIZES = (1, 10, 50, 250, float("inf"))  # px
RESAMPLES = 10_000
Vector = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def bootstrap_interval(values: Vector) -> tuple[float, float]:
    """95 % percentile interval of the mean over 10,000 resamples of the cases (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: (N,) one of each case, N at least 2.
    """
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, batch=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


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


def _by_size(areas: npt.NDArray[np.int64], good: Truth) -> dict[str, dict[str, float | int | None]]:
    """For each class of size: the share of the good lesions (None without any) and how many lesions there are."""
    report: dict[str, dict[str, float | int | None]] = {}
    for low, high in pairwise(LESION_SIZES):
        inside = good[(areas >= low) & (areas < high)]
        name = f"{low:.0f}-{high - 1:.0f}" if np.isfinite(high) else f"{low:.0f}+"
        report[name] = {"share": float(inside.mean()) if inside.size else None, "lesions": int(inside.size)}
    return report
