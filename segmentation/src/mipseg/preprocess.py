"""From a grey picture to the network's input; the same code for training, evaluation and serving. NumPy only."""

import numpy as np
import numpy.typing as npt

from mipseg.types import Grey, Uptake

MULTIPLE = 64  # the network's coarsest grid
BODY_LEVEL = 0.03  # uptake above which a pixel is no longer air (noise of air stays below)
MARGIN = 16  # pixels of air kept beside the body
BODY_SHARE = 0.3  # pixels above this share of the mean count for a level; relative, so that any window counts alike
LEVEL = -1.145  # natural log of a body's mean uptake, mean of the 484 training cases; their standard deviation is 0.12
USUAL = 0.1  # how far from that a level is left as it is
MOST = 0.6  # largest correction of a level
LEAST_BODY = 2000  # pixels of body that a level can be told from
SATURATION = 20  # how sharply the correction of a narrow window ends at the window's top


def normalise(grey: Grey) -> Uptake:
    """Turn a picture (air = 255) into uptake in [0, 1] (air = 0)."""
    return (255 - grey).astype(np.float32) / np.float32(255)


def match_window(uptake: Uptake) -> Uptake:
    """Bring a picture that was drawn with another SUV window near to those of the training.

    The mean uptake of a body differs little between people, so a mean far from the usual one speaks of another window.
    Only what is beyond the usual range is corrected. When the window was too narrow, everything gets paler but what is
    saturated: how hot that was is lost, and saturated it would mostly be in the usual window too.

    Args:
        uptake: (H, W) in [0, 1].

    Returns:
        The same, or a corrected copy.
    """
    body = uptake[uptake > BODY_LEVEL]
    body = body[body > BODY_SHARE * body.mean()] if body.size else body
    if body.size < LEAST_BODY:
        return uptake
    off = float(np.log(body.mean())) - LEVEL
    factor = np.float32(np.exp(-np.clip(off - np.clip(off, -USUAL, USUAL), -MOST, MOST)))
    if factor < 1:
        return np.asarray(factor * uptake + (1 - factor) * uptake**SATURATION)
    return np.asarray(np.minimum(factor * uptake, np.float32(1)))


def body_columns(uptake: Uptake) -> slice:
    """The columns that hold the body, with a margin, as a slice whose width is a multiple of `MULTIPLE` if it can be.

    A third of a picture's width is air; leaving it out saves a third of the work. A picture without a body (white,
    tiny) keeps all its columns.
    """
    width = uptake.shape[1]
    inside = np.flatnonzero((uptake > BODY_LEVEL).mean(axis=0) > 0.01)
    if inside.size == 0:
        return slice(0, width)
    left, right = int(inside[0]) - MARGIN, int(inside[-1]) + 1 + MARGIN
    wanted = -(-(right - left) // MULTIPLE) * MULTIPLE
    if wanted >= width:
        return slice(0, width)
    start = min(max((left + right - wanted) // 2, 0), width - wanted)
    return slice(start, start + wanted)


def pad(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Add air below and to the right of (C, H, W) planes until both sides are multiples of `MULTIPLE`."""
    _, height, width = planes.shape
    return np.pad(planes, ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)))
