"""How many bodies an image shows, if any, and whether one is whole."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.repair.coarse import BODY, HOT
from mipseg.repair.orientation import pose
from mipseg.types import Intensity

AIR_SHARE = 0.01  # of a line between two bodies that may be body
MIN_PART = 0.1  # of the body pixels that lie on each side of such a line; at most 0.03 in the data set
MIN_GAIN = 0.35  # of both halves' likeness over the whole's, if each is a body; at most 0.19 in the data set
MIN_ASPECT = 1.15  # rows over columns of a body from head to thighs; at least 1.19 in the data set
MIN_HOT_SHARE = 0.012  # of the body; a smaller one is legs
MIN_LIKENESS = 0.15  # see `Pose`; half a body has less
MIN_SPREAD = 0.4  # log of a body's highest intensity over a low one; drawings are flat
MIN_DIFFERENCE = 0.1  # of a body's variance, that between pixels of one line; at least 0.37 in the data set


def are_several(half: Intensity, body: Intensity, likeness: float) -> bool:
    """Whether an image shows several bodies or views.

    Args:
        half: the image, at half resolution.
        body: the box around all bodies in it.
        likeness: of that box, see `Pose`.
    """
    if any(_has_gap((half > BODY).mean(axis)) for axis in (0, 1)):
        return True
    height, width = body.shape
    if height < 2 * MIN_ASPECT * width:
        return False
    # One may begin where the other one ends.
    halves = [pose(part).likeness for part in (body[: height // 2], body[height // 2 :])]
    return min(halves) > likeness + MIN_GAIN


def _has_gap(lines: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether lines of air lie between bodies, given the share of each line that is body."""
    before = np.cumsum(lines) / max(float(lines.sum()), 1e-6)
    gap = before[lines <= AIR_SHARE]
    return bool((np.minimum(gap, 1 - gap) >= MIN_PART).any())


def is_drawing(half: Intensity, body: Intensity) -> bool:
    """Whether an image shows no body: even, with nothing hot in it, or the same in all rows or all columns.

    Args:
        half: the image, at half resolution.
        body: the box around what would be a body in it.
    """
    low, high = np.percentile(half[half > BODY_LEVEL], 10), half.max()
    differs = min(float(body.var(axis).mean()) for axis in (0, 1))
    return bool(high < low * np.exp(MIN_SPREAD) or differs < MIN_DIFFERENCE * body.var())


def is_part(body: Intensity, likeness: float) -> bool:
    """Whether an upright body's box does not show a body from head to thighs."""
    height, width = body.shape
    hot = (body > HOT).sum() / max(int((body > BODY).sum()), 1)
    return bool(height < MIN_ASPECT * width or hot < MIN_HOT_SHARE or likeness < MIN_LIKENESS)
