"""The SUV window that an image was drawn with, judged by how hot its body is."""

import numpy as np

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

# Natural log of a body's median intensity, which lesions hardly move; mean of the data set, where the SD is 0.13.
LOG_MEDIAN = -1.464
# Such logs less the usual one; -0.56 to 0.45 in the data set. With a top of SUV 3, 87 of 100 images are above, with one
# of 4, which the networks stand, 7; with one of 20 all are below.
PALEST, HOTTEST = -0.75, 0.55


def log_level(body: Intensity) -> float:
    """How hot a body is: natural log of its median intensity over that of the data set.

    Args:
        body: the body's box at half resolution; must hold a body.
    """
    return float(np.log(np.median(body[body > BODY_LEVEL]))) - LOG_MEDIAN


def is_unusual(level: float) -> bool:
    """Whether a level (see `log_level`) can only come from a window that is very narrow or very wide."""
    return not PALEST < level < HOTTEST


def brightened(intensity: Intensity, level: float) -> Intensity:
    """Bring a pale image to the usual window; others stay, since what a narrow window has saturated is lost.

    Args:
        intensity: (H, W) in [0, 1].
        level: its body's, see `log_level`.
    """
    return np.asarray(np.minimum(intensity * np.float32(np.exp(-min(level, 0.0))), np.float32(1)))
