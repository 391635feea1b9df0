"""Text, scales and colour bars beside the body: apart from it, and with sharper edges than PET can have."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.metrics import NEIGHBOURS
from mipseg.repair.coarse import blocks, highest
from mipseg.types import BinaryMask, Intensity

LEVEL = 0.1  # intensity that counts as something
REACH = 2  # blocks between letters of one mark
# What is seen beside bodies of the data set (splashes, noise) is smaller or softer: pixels, and their mean intensity.
LARGE, HOT = 100, 0.3
SMALL, SATURATED = 30, 0.75
MAX_SHARE = 0.25  # of the body; what is larger is another body


def without_marks(intensity: Intensity) -> Intensity:
    """Blank marks beside the body to air.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The same array if there are none, else a copy.
    """
    seen = highest(intensity) > LEVEL
    components, _ = ndimage.label(seen, NEIGHBOURS)
    sizes = np.bincount(components.ravel())[1:]
    if sizes.size < 2:
        return intensity
    body = components == sizes.argmax() + 1
    beside = seen & ~body
    groups, _ = ndimage.label(ndimage.binary_dilation(beside, NEIGHBOURS, REACH), NEIGHBOURS)
    marks = np.zeros_like(seen)
    marks[beside] = _are_marks(blocks(intensity).swapaxes(1, 2)[beside], groups[beside], MAX_SHARE * 4 * sizes.max())
    if not marks.any():
        return intensity
    # With the pale rim around a mark, but nothing of the body.
    rim = ndimage.binary_dilation(marks, NEIGHBOURS, REACH) & ~body
    height, width = intensity.shape
    return np.where(rim.repeat(2, 0).repeat(2, 1)[:height, :width], np.float32(0), intensity)


def _are_marks(pixels: npt.NDArray[np.float32], groups: npt.NDArray[np.integer[Any]], largest: float) -> BinaryMask:
    """Which of (N, 2, 2) blocks are of a mark, given the number of the group that each is of."""
    inside = pixels > LEVEL
    count = np.bincount(groups, inside.sum((1, 2)))
    mean = np.bincount(groups, (pixels * inside).sum((1, 2))) / np.maximum(count, 1)
    sharp = ((count >= LARGE) & (mean >= HOT)) | ((count >= SMALL) & (mean >= SATURATED))
    found: BinaryMask = (sharp & (count <= largest))[groups]
    return found
