"""How many bodies an image shows, and whether one is whole."""

import numpy as np

from mipseg.types import Intensity

LEVEL = 0.1  # intensity of a body, at half resolution
AIR_SHARE = 0.01  # of a column between two bodies that may be body
MIN_PART = 0.1  # of the body pixels that lie on each side of such a column; at most 0.003 in the data set
MIN_ASPECT = 1.15  # rows over columns of a body from head to thighs; at least 1.19 in the data set
HOT, MIN_HOT_SHARE = 0.7, 0.012  # brain, heart or bladder are hot; a smaller share is legs
MIN_LIKENESS = 0.2  # see `Pose`; half a body has less


def are_several(half: Intensity) -> bool:
    """Whether columns of air lie between bodies in an upright image at half resolution."""
    columns = (half > LEVEL).mean(0)
    left = np.cumsum(columns) / max(float(columns.sum()), 1e-6)
    gap = left[columns <= AIR_SHARE]
    return bool((np.minimum(gap, 1 - gap) >= MIN_PART).any())


def is_part(body: Intensity, likeness: float) -> bool:
    """Whether an upright body's box does not show a body from head to thighs."""
    height, width = body.shape
    hot = (body > HOT).sum() / max(int((body > LEVEL).sum()), 1)
    return bool(height < MIN_ASPECT * width or hot < MIN_HOT_SHARE or likeness < MIN_LIKENESS)
