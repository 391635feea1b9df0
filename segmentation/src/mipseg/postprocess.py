"""From probabilities to a mask."""

import numpy as np
from scipy import ndimage

from mipseg.types import Binary, Mask, Probability

NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong to one component


def binarise(probability: Probability, threshold: float, min_area_px: int) -> Binary:
    """Cut at a fixed threshold and drop components that are too small to be trusted.

    Args:
        probability: (H, W) in [0, 1].
        threshold: pixels above it are tumour.
        min_area_px: smallest component that is kept.

    Returns:
        (H, W) bool.
    """
    tumour = probability > threshold
    labels, count = ndimage.label(tumour, NEIGHBOURS)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= min_area_px
    large[0] = False
    return np.asarray(large[labels], bool)


def to_mask(tumour: Binary) -> Mask:
    """(H, W) bool -> (H, W, 3) uint8 with 255 in tumours."""
    return np.repeat((tumour.astype(np.uint8) * np.uint8(255))[:, :, None], 3, axis=2)
