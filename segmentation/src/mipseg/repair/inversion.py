"""Images with a dark background, as PET viewers show them."""

import numpy as np

from mipseg.repair.border import content_box
from mipseg.types import Intensity

SIDES = 0.1  # of the width on either side, where there is more air than body


def is_inverted(intensity: Intensity) -> bool:
    """Whether both sides, between any bars, are rather hot than air, and hotter than what lies between them."""
    inside = content_box(intensity).of(intensity)
    width = max(1, round(SIDES * inside.shape[1]))
    sides = np.concatenate([inside[:, :width], inside[:, -width:]], 1)
    return bool((sides > 0.5).mean() > 0.5 and inside.mean() < np.median(sides))


def invert(intensity: Intensity) -> Intensity:
    """Swap air and hot, on the grid of 8-bit images, so that each intensity is exactly that of the image meant."""
    return np.rint((1 - intensity) * 255).astype(np.float32) / np.float32(255)
