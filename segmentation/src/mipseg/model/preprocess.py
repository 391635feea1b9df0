"""From intensity to the network's input; the same code for training, evaluation and serving. NumPy only."""

from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from mipseg.types import Intensity

MULTIPLE = 64  # the network's coarsest grid
MIN_WIDTH = 128  # of what a network sees; on narrower strips OpenVINO's bfloat16 has given NaN
MAX_TILE = (1024, 512)  # most rows and columns that a network sees at once, which bounds memory; a body at 2 mm fits
OVERLAP = 128  # pixels that neighbouring tiles share
BODY_LEVEL = 0.03  # intensity above which a pixel is no longer air (noise of air stays below)
MARGIN = 8  # pixels of air kept beside the body
BODY_SHARE = 0.3  # pixels above this share of the mean count for a level; relative, so that any window counts alike
LOG_MEAN = -1.145  # natural log of a body's mean intensity: mean of the 484 training cases, whose SD is 0.12
TOLERANCE = 0.1  # how far from that a level is left as it is
MAX_BRIGHTENING = 0.6  # largest correction of a level that is too low
# And of one that is too high: the networks stand what is bright better than what is paled and saturated at once.
MAX_PALING = 0.15
MIN_BODY_PIXELS = 2000  # pixels of body that a level can be told from
SATURATION = 20  # how sharply the correction of a narrow window ends at the window's top


def match_window(intensity: Intensity) -> Intensity:
    """Bring an image that was drawn with another SUV window near to those of the training.

    The mean intensity of a body differs little between people, so a mean far from the usual one means another window.
    Only what is beyond the usual range is corrected. When the window was too narrow, everything gets a little paler but
    what is saturated: how hot that was is lost, and saturated it would mostly be in the usual window too.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The same, or a corrected copy.
    """
    body = intensity[intensity > BODY_LEVEL]
    body = body[body > BODY_SHARE * body.mean()] if body.size else body
    if body.size < MIN_BODY_PIXELS:
        return intensity
    residual = float(np.log(body.mean())) - LOG_MEAN
    beyond = residual - np.clip(residual, -TOLERANCE, TOLERANCE)
    factor = np.float32(np.exp(-np.clip(beyond, -MAX_BRIGHTENING, MAX_PALING)))
    if factor < 1:
        return np.asarray(factor * intensity + (1 - factor) * intensity**SATURATION)
    return np.asarray(np.minimum(factor * intensity, np.float32(1)))


def body_columns(intensity: Intensity) -> slice:
    """The columns that hold the body, with a margin, as a slice whose width is a multiple of `MULTIPLE` if it can be.

    A third of an image's width is air; leaving it out saves a third of the work. An image without a body (white,
    tiny) keeps all its columns.
    """
    width = intensity.shape[1]
    inside = np.flatnonzero((intensity > BODY_LEVEL).mean(axis=0) > 0.01)
    if inside.size == 0:
        return slice(0, width)
    left, right = int(inside[0]) - MARGIN, int(inside[-1]) + 1 + MARGIN
    wanted = -(-(right - left) // MULTIPLE) * MULTIPLE
    if wanted >= width:
        return slice(0, width)
    start = min(max((left + right - wanted) // 2, 0), width - wanted)
    return slice(start, start + wanted)


def pad(intensity: Intensity) -> Intensity:
    """Add air below and to the right of (H, W) until both sides are multiples of `MULTIPLE`.

    The width becomes `MIN_WIDTH` at least.
    """
    height, width = intensity.shape
    missing = max(-width % MULTIPLE, MIN_WIDTH - width)
    return np.pad(intensity, ((0, -height % MULTIPLE), (0, missing)))


class Tile(NamedTuple):
    """A part of an image that networks see at once; each attribute holds a slice of rows and one of columns.

    Attributes:
        seen: of the image.
        kept: of the image, where this tile's answer counts; every pixel is kept by one tile.
        answer: the same place within the tile.
    """

    seen: tuple[slice, slice]
    kept: tuple[slice, slice]
    answer: tuple[slice, slice]


def tiles(height: int, width: int) -> list[Tile]:
    """Cut an image into overlapping tiles of at most `MAX_TILE`; an image of the usual size is one tile."""
    down, across = _spans(height, MAX_TILE[0]), _spans(width, MAX_TILE[1])
    return [Tile(*zip(rows, columns, strict=True)) for rows, columns in product(down, across)]


def _spans(size: int, longest: int) -> list[tuple[slice, slice, slice]]:
    """Cut one side into evenly spread spans; each keeps what is nearer to its middle than to another's."""
    count = max(1, -(-(size - OVERLAP) // (longest - OVERLAP)))
    length = min(size, longest)
    starts = [number * (size - length) // max(1, count - 1) for number in range(count)]
    borders = [0, *((left + length + right) // 2 for left, right in pairwise(starts)), size]
    return [
        (slice(start, start + length), slice(first, last), slice(first - start, last - start))
        for start, (first, last) in zip(starts, pairwise(borders), strict=True)
    ]
