"""What is checked on its way in and out: intensity, spacing, masks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.constants import MAX_SPACING_MM
from mipseg.errors import ArgumentError, SegmentationError
from mipseg.types import Intensity, Spacing


def check_intensity(intensity: npt.NDArray[Any]) -> Intensity:
    """Check an array that a caller passed as intensity.

    Args:
        intensity: (H, W) of any float type and memory layout, in [0, 1], air 0.

    Returns:
        The same as contiguous float32.

    Raises:
        ArgumentError: another type, shape or range, or a value that is not finite.
    """
    wanted = "wanted: (H, W) float in [0, 1], air 0; `mipseg.io.arrays.intensity_of_image` makes it of an image"
    if not isinstance(intensity, np.ndarray):
        raise ArgumentError(f"intensity must be a NumPy array, not {type(intensity).__name__}; {wanted}")
    if intensity.dtype.kind != "f" or intensity.ndim != 2 or 0 in intensity.shape:
        raise ArgumentError(f"intensity is {intensity.dtype} of shape {intensity.shape}; {wanted}")
    if not np.isfinite(intensity).all():
        raise ArgumentError(f"intensity has values that are not finite; {wanted}")
    lowest, highest = float(intensity.min()), float(intensity.max())
    if lowest < 0 or highest > 1:
        raise ArgumentError(f"intensity goes from {lowest:g} to {highest:g}; {wanted}")
    return np.ascontiguousarray(intensity, np.float32)


def check_spacing(spacing: Spacing | None) -> None:
    """Check a spacing that a caller passed.

    Args:
        spacing: millimetres between rows and between columns, each above 0 and at most 100; None: not known.

    Raises:
        ArgumentError: anything else.
    """
    if spacing is None:
        return
    try:
        row, column = (float(side) for side in spacing)
        sound = 0 < row <= MAX_SPACING_MM and 0 < column <= MAX_SPACING_MM
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ArgumentError(f"the spacing must be two numbers of mm in (0, {MAX_SPACING_MM:g}], not {spacing!r}")


def validate_segmentation(pet_mip: npt.NDArray[np.generic], seg_pred: npt.NDArray[np.generic]) -> None:
    """Check that a mask is one that the championship accepts.

    Args:
        pet_mip: the image, (H, W, 3).
        seg_pred: the mask of it; must be (H, W, 3), only 0 and 255, three equal channels.

    Raises:
        SegmentationError: says what is wrong, with the actual and the wanted value.
    """
    if not isinstance(seg_pred, np.ndarray):
        raise SegmentationError(f"the mask must be a NumPy array, not {type(seg_pred).__name__}")
    if seg_pred.shape != pet_mip.shape:
        raise SegmentationError(f"the mask's shape is {seg_pred.shape}, but the image's is {pet_mip.shape}")
    if seg_pred.ndim != 3 or seg_pred.shape[2] != 3:
        raise SegmentationError(f"the mask must be (H, W, 3), not {seg_pred.shape}")
    if seg_pred.dtype.kind not in "buif":
        raise SegmentationError(f"the mask must hold numbers, such as uint8, not {seg_pred.dtype}")
    wrong = seg_pred[(seg_pred != 0) & (seg_pred != 255)]
    if wrong.size:
        raise SegmentationError(
            f"the mask may hold only 0 and 255, but {wrong.size} values are others, such as {wrong.flat[0]}"
        )
    if not (seg_pred == seg_pred[:, :, :1]).all():
        raise SegmentationError("the mask's three channels must be equal: white is tumour, black is none")
