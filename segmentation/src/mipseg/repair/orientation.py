"""Which way up a body is: a thumbnail of it is compared with one template in four turns."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.repair.border import Box
from mipseg.repair.coarse import BODY
from mipseg.repair.learned import learned
from mipseg.types import Intensity

SIDE = 16  # pixels of a thumbnail
MIN_SHARE = 0.03  # of a line that is body in the body's box: specks are less
CONTRAST = 4  # thumbnails are cut at so many times their mean
MIN_GAIN = 0.2  # in likeness before an image is turned
MIN_LIKENESS = 1.1  # of a turned body before an image is turned


class Pose(NamedTuple):
    """How a body stands.

    Attributes:
        turns: quarter turns against the clock that bring it upright, 0 to 3.
        likeness: how much it then looks like a body from head to thighs; 0.5 to 2.6 in the data set.
    """

    turns: int
    likeness: float


def body_box(half: Intensity) -> Box | None:
    """The box around the body in an image at half resolution, or None if there is nothing."""
    inside = half > BODY
    rows, columns = (np.flatnonzero(inside.mean(axis) > MIN_SHARE) for axis in (1, 0))
    if rows.size < 2 or columns.size < 2:
        return None
    return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def thumbnail(body: Intensity) -> npt.NDArray[np.float64]:
    """Shrink a body's box to (16, 16), at a contrast that does not depend on the window."""
    image = PillowImage.fromarray(np.ascontiguousarray(body))
    small = np.asarray(image.resize((SIDE, SIDE), PillowImage.Resampling.BOX), np.float64)
    return np.minimum(small / (CONTRAST * max(float(small.mean()), 1e-6)), 1)


def pose(body: Intensity) -> Pose:
    """Judge the part of an image that holds the body."""
    small = thumbnail(body)
    scores = [float((learned().template * np.rot90(small, turns)).sum()) for turns in range(4)]
    best = int(np.argmax(scores))
    if scores[best] < MIN_LIKENESS or scores[best] - scores[0] < MIN_GAIN:
        best = 0
    return Pose(best, scores[best])
