"""Measures of agreement between a prediction and its reference."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.types import BinaryMask

CALIBRATION_BINS = 8
FALSE_LESION_PX = 20  # of a volume, voxels
CLEAN = f"no false lesion of {FALSE_LESION_PX} px or more"  # a control, in words
NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong to one component


def dice_score(y_true: npt.NDArray[np.generic], y_pred: npt.NDArray[np.generic]) -> float:
    """Dice coefficient, 2 |A ∩ B| / (|A| + |B|) (Dice 1945, Ecology 26(3):297-302).

    Both empty gives 1.0: to find nothing in a healthy body is a perfect answer.

    Args:
        y_true: reference, any shape; non-zero is tumour (so 0/255 and bool both work). The alpha of (H, W, 4) is
            ignored, but for bool: it is not zero where there is no tumour.
        y_pred: prediction, the same shape but for the alpha.

    Returns:
        A number from 0 (no overlap) to 1 (identical).

    Raises:
        ValueError: the shapes differ.
    """
    reference, prediction = (_without_alpha(np.asarray(mask)) != 0 for mask in (y_true, y_pred))
    if reference.shape != prediction.shape:
        raise ValueError(f"shapes differ: reference {reference.shape}, prediction {prediction.shape}")
    total = int(reference.sum()) + int(prediction.sum())
    return 1.0 if total == 0 else 2 * int((reference & prediction).sum()) / total


def _without_alpha(mask: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    is_rgba = mask.ndim == 3 and mask.shape[2] == 4 and mask.dtype != np.bool_
    return mask[:, :, :3] if is_rgba else mask


class LesionMatch(NamedTuple):
    """Which lesions of a reference were found, and which of a prediction are true.

    Attributes:
        reference_area: (R,) pixels of each reference lesion.
        found: (R,) bool, whether a predicted lesion matches it.
        prediction_area: (P,) pixels of each predicted lesion.
        true: (P,) bool, whether a reference lesion matches it.
    """

    reference_area: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    prediction_area: npt.NDArray[np.int64]
    true: npt.NDArray[np.bool_]


def match_lesions(reference: BinaryMask, prediction: BinaryMask, min_iou: float = 0.0) -> LesionMatch:
    """Match the components (8-connected, of volumes 18-connected) of a reference and of a prediction.

    Two lesions match if they share a pixel and their intersection over union is at least `min_iou`; one lesion may
    match several of the other side.

    Args:
        reference: (H, W) or (Z, Y, X) bool.
        prediction: the same shape.
        min_iou: 0 for any overlap.
    """
    neighbours = ndimage.generate_binary_structure(reference.ndim, 2)
    (true_labels, true_count), (labels, count) = (ndimage.label(m, neighbours) for m in (reference, prediction))
    pairs = np.bincount((true_labels * (count + 1) + labels).ravel(), minlength=(true_count + 1) * (count + 1))
    overlap = pairs.reshape(true_count + 1, count + 1)[1:, 1:]
    reference_area, prediction_area = (
        np.bincount(image.ravel(), minlength=number + 1)[1:]
        for image, number in ((true_labels, true_count), (labels, count))
    )
    union = reference_area[:, None] + prediction_area[None, :] - overlap
    matches = (overlap > 0) & (overlap >= min_iou * union)
    return LesionMatch(reference_area, matches.sum(1) > 0, prediction_area, matches.sum(0) > 0)


def is_clean(areas: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether controls are clean: none of the lesions predicted for one, which are all false, has 20 px or more.

    Args:
        areas: (..., N) pixels of each predicted lesion of a control.

    Returns:
        (...) bool.
    """
    return np.asarray((areas < FALSE_LESION_PX).all(-1))


class SizeClass(NamedTuple):
    """Lesions of one size.

    Attributes:
        low: smallest size that belongs to it.
        high: from here on the next class; infinite for the last.
        lesions: how many there are.
        good: those of them that match a lesion of the other side.
    """

    low: float
    high: float
    lesions: int
    good: int


def size_classes(
    sizes: Sequence[npt.NDArray[np.generic]], good: Sequence[npt.NDArray[np.bool_]], edges: Sequence[float]
) -> list[SizeClass]:
    """Count the lesions of many cases by size.

    Args:
        sizes: (N,) of each case's lesions.
        good: (N,) bool of each case, whether its lesions match; see `match_lesions`.
        edges: where the classes begin, ascending; what is smaller than the first is not counted.
    """
    size, is_good = np.concatenate([np.zeros(0), *sizes]), np.concatenate([np.zeros(0, bool), *good])
    classes = []
    for low, high in pairwise((*edges, np.inf)):
        inside = is_good[(size >= low) & (size < high)]
        classes.append(SizeClass(low, high, inside.size, int(inside.sum())))
    return classes


def bootstrap_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of the mean over 9,999 resamples of the cases (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: (N,) one of each case, N at least 2.
    """
    from scipy import stats  # noqa: PLC0415 # takes a second, which most commands need not wait for

    interval = stats.bootstrap(
        (values,), np.mean, batch=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


class CalibrationBin(NamedTuple):
    """Cases of like predicted probability.

    Attributes:
        predicted: mean predicted probability that the image shows a tumour.
        observed: share of the images that do.
        cases: how many.
    """

    predicted: float
    observed: float
    cases: int


def calibration_bins(score: npt.NDArray[np.float64], has_tumour: npt.NDArray[np.bool_]) -> list[CalibrationBin]:
    """The calibration curve over bins of equal width; bins without a case are left out.

    A score on an edge belongs to the bin below, as in scikit-learn's `calibration_curve`.

    Args:
        score: (N,) predicted probability in [0, 1].
        has_tumour: (N,) truth.
    """
    number = np.searchsorted(np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1], score)
    groups = [number == place for place in range(CALIBRATION_BINS)]
    return [
        CalibrationBin(float(score[group].mean()), float(has_tumour[group].mean()), int(group.sum()))
        for group in groups
        if group.any()
    ]
