"""Air that is not white, as in photos, scans and files whose values end below the top of their bits."""

import numpy as np

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

STEP = 4  # every fourth row and column is enough to see the air
DARKEST, REACH = 2, 0.04  # percentile of the intensities that is air, if there is any, and how far above it air reaches
FLAT = 0.01  # how far air lies from its median
MIN_SHARE = 0.3  # that flat air has of what is not much darker, as bars are; at least 0.35 in the data set
MUCH_DARKER = 0.5  # intensities


def air_level(intensity: Intensity) -> float:
    """The intensity of the air around the body; 0 where it is what it should be, or can't be told.

    Args:
        intensity: (H, W) in [0, 1], not inverted.
    """
    seen = intensity[::STEP, ::STEP]
    lowest = np.percentile(seen, DARKEST)
    if lowest <= BODY_LEVEL:
        return 0.0
    seen = seen[seen <= lowest + MUCH_DARKER]
    level = np.median(seen[seen <= lowest + REACH])
    return float(level) if (np.abs(seen - level) <= FLAT).mean() >= MIN_SHARE else 0.0


def without_offset(intensity: Intensity, level: float) -> Intensity:
    """Stretch (H, W) intensities from [level, 1] to [0, 1]; what is below becomes air."""
    return np.asarray(np.maximum(intensity - np.float32(level), 0) / np.float32(1 - level))
