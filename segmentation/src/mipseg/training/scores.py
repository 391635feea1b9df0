"""Measures over many cases: what the report is made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.evaluation.summary import SIZES
from mipseg.metrics import match_lesions, size_classes
from mipseg.types import BinaryMask

Vector = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def lesion_report(pairs: Sequence[tuple[BinaryMask, BinaryMask]]) -> dict[str, Any]:
    """Sensitivity and positive predictive value over all lesions of all patients, by size, and F1.

    Args:
        pairs: reference and prediction of each patient.

    Returns:
        For each way of matching, those numbers; sensitivity and F1 are None where no reference has a lesion.
    """
    report: dict[str, Any] = {}
    for name, min_iou in (("any_overlap", 0.0), ("iou_0.1", 0.1)):
        matches = [match_lesions(reference, prediction, min_iou) for reference, prediction in pairs]
        found, true = np.concatenate([m.found for m in matches]), np.concatenate([m.true for m in matches])
        sensitivity, ppv = float(found.mean()) if found.size else None, float(true.mean()) if true.size else 0.0
        report[name] = {
            "sensitivity": sensitivity,
            "ppv": ppv,
            "f1": None if sensitivity is None else _f1(sensitivity, ppv),
            "sensitivity_by_px": _by_size([m.reference_area for m in matches], [m.found for m in matches]),
            "ppv_by_px": _by_size([m.prediction_area for m in matches], [m.true for m in matches]),
        }
    return report


def _f1(sensitivity: float, ppv: float) -> float:
    return 2 * sensitivity * ppv / (sensitivity + ppv) if sensitivity + ppv else 0.0


def _by_size(areas: Sequence[npt.NDArray[np.int64]], good: Sequence[Truth]) -> dict[str, dict[str, float | int | None]]:
    """For each class of size: the share of the good lesions (None without any) and how many lesions there are."""
    report: dict[str, dict[str, float | int | None]] = {}
    for group in size_classes(areas, good, SIZES["px"]):
        name = f"{group.low:.0f}-{group.high - 1:.0f}" if np.isfinite(group.high) else f"{group.low:.0f}+"
        share = group.good / group.lesions if group.lesions else None
        report[name] = {"share": share, "lesions": group.lesions}
    return report
