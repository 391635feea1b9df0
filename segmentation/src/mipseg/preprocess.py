"""From a grey picture to the network's input; the same code for training, evaluation and serving. NumPy only."""

import numpy as np
import numpy.typing as npt

from mipseg.types import Grey, Uptake

MULTIPLE = 64  # the network's coarsest grid
BODY_LEVEL = 0.03  # uptake above which a pixel is no longer air (noise of air stays below)
MARGIN = 16  # pixels of air kept beside the body


def normalise(grey: Grey) -> Uptake:
    """Turn a picture (air = 255) into uptake in [0, 1] (air = 0). Fixed scale: never stretched per image."""
    return (255 - grey).astype(np.float32) / np.float32(255)


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


def pad(uptake: Uptake) -> npt.NDArray[np.float32]:
    """Add air below and to the right until both sides are multiples of `MULTIPLE`."""
    height, width = uptake.shape
    return np.pad(uptake, ((0, -height % MULTIPLE), (0, -width % MULTIPLE)))
