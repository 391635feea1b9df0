"""How large a body is in pixels, and resampling to the pixels of the training."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.constants import MAX_PIXELS, PITCH_MM
from mipseg.errors import ArgumentError
from mipseg.repair.coarse import HOT
from mipseg.repair.learned import learned
from mipseg.types import BinaryMask, Intensity

SMALLEST, LARGEST = 0.74, 1.30  # body size over the usual one; 0.75 to 1.28 in the data set
LEVELS = 0.06, 0.1, 0.2  # intensities that outline a body at half resolution
MAX_FACTOR = 5.0
# Natural log of a body's edges along rows over those along columns: mean of the data set, where the SD is 0.05, and how
# far from that is usual (-0.13 to 0.20 there; noise brings it to -0.19). Of a stretch, whose log would add to it, 0.7
# shows: coarse pixels lose texture.
LOG_EDGES, SQUATTEST, TALLEST, SHOWN = 0.19, -0.22, 0.25, 0.7


class Size(NamedTuple):
    """A body's size over the usual one, down and across the image."""

    height: float
    width: float


def resampled_shape(shape: tuple[int, int], spacing: tuple[float, float] | None) -> tuple[int, int]:
    """The shape of an image at the pitch of the training.

    Args:
        shape: (H, W).
        spacing: millimetres between rows and between columns; None: unknown, taken for the pitch of the training.

    Raises:
        ArgumentError: the spacing is not a possible one, or the resampled image would be too large.
    """
    if spacing is None:
        return shape
    factors = [mm / PITCH_MM for mm in spacing]
    if not all(1 / MAX_FACTOR <= factor <= MAX_FACTOR for factor in factors):
        limits = f"{PITCH_MM / MAX_FACTOR:g} to {PITCH_MM * MAX_FACTOR:g} mm"
        raise ArgumentError(
            f"the pixel spacing is {spacing[0]:g} x {spacing[1]:g} mm, but only {limits} can be resampled"
        )
    height, width = (max(1, round(side * factor)) for side, factor in zip(shape, factors, strict=True))
    if height * width > MAX_PIXELS:
        raise ArgumentError(
            f"at {PITCH_MM:g} mm per pixel the image would have {height * width} pixels; send a smaller part"
        )
    return height, width


def log_lengths(body: Intensity) -> npt.NDArray[np.float64]:
    """Logs of some lengths of a body: each doubles when the image does.

    Args:
        body: the box of an upright body, at half resolution.

    Returns:
        (13,): of three outlines the extent of a middling and of a wide row, the filled part of a wide one and the root
        of the area; and the longest hot row, which is in the brain, heart or bladder.
    """
    lengths = []
    for level in LEVELS:
        inside = body > level
        filled = inside.sum(1)
        middling, wide = np.percentile(np.where(filled > 0, _extents(inside), 0), (50, 90))
        lengths += [middling, wide, np.percentile(filled, 90), np.sqrt(filled.sum())]
    lengths.append(_longest_run(body > HOT))
    return np.log(np.maximum(lengths, 1))


def body_size(body: Intensity) -> float:
    """How large the body is over the usual one, 1 in the data set (0.85 to 1.18 for 98 of 100)."""
    found = learned()
    return float(np.exp(found.weights @ log_lengths(body) - found.mean))


def stretch(body: Intensity) -> float:
    """How much a body is stretched downwards, as by pixels that are not square; 1 if that is within the usual.

    Stretched rows repeat the edges within them, while those between them stay what they were.

    Args:
        body: the box of an upright and whole body, at half resolution.
    """
    down, across = (max(float(np.abs(np.diff(body, axis=axis)).sum()), 1e-6) for axis in (0, 1))
    excess = np.log(across / down) - LOG_EDGES
    return 1.0 if SQUATTEST <= excess <= TALLEST else float(np.exp(excess / SHOWN))


def unusual_size(body: Intensity) -> Size | None:
    """The size of a body that is much larger, smaller, longer or wider than at 2 x 2 mm per pixel, else None.

    Args:
        body: the box of an upright and whole body, at half resolution.
    """
    size = body_size(body)
    tall = stretch(body) if size >= SMALLEST else 1.0  # coarse pixels blur the edges
    if tall != 1:
        size = body_size(body[(np.arange(round(len(body) / tall)) * tall).astype(int)])
    if SMALLEST <= size <= LARGEST:
        size = 1.0
    return None if size == tall == 1 else Size(size * tall, size)


def usual_shape(shape: tuple[int, int], size: Size) -> tuple[int, int]:
    """The shape of an image once its body is of the usual size; the same if that is out of reach.

    Args:
        shape: (H, W).
        size: of the body over the usual one.
    """
    height, width = (max(1, round(side / factor)) for side, factor in zip(shape, size, strict=True))
    fits = all(1 / MAX_FACTOR <= factor <= MAX_FACTOR for factor in size) and height * width <= MAX_PIXELS
    return (height, width) if fits else shape


def _extents(inside: BinaryMask) -> npt.NDArray[np.intp]:
    """From the first to the last pixel of each row."""
    return np.asarray(inside.shape[1] - inside[:, ::-1].argmax(1) - inside.argmax(1))


def _longest_run(inside: BinaryMask) -> int:
    """The most pixels side by side in a row."""
    count = inside.cumsum(1)
    before = np.maximum.accumulate(np.where(inside, 0, count), 1)
    return int((count - before).max(initial=0))
