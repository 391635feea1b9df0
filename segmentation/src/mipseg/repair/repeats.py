"""Pixels that are repeated, as where an image was enlarged by whole numbers without interpolation."""

import numpy as np
import numpy.typing as npt

from mipseg.repair.geometry import sharpened
from mipseg.types import Intensity

MIN_CHANGES = 20  # between neighbouring lines, from which a step between them can be told


def without_repeats(intensity: Intensity) -> Intensity:
    """Interpolate between pixels that are repeated down and across; the networks take their edges for a texture.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The same, or an image of the same shape.
    """
    down, top = _repetition(intensity)
    across, left = _repetition(intensity.T) if down > 1 else (1, 0)
    if across < 2:
        return intensity
    height, width = intensity.shape
    whole = np.pad(intensity, ((top, -(top + height) % down), (left, -(left + width) % across)), "edge")
    return sharpened(whole[::down, ::across], whole.shape)[top : top + height, left : left + width]


def _repetition(lines: npt.NDArray[np.float32]) -> tuple[int, int]:
    """How often each of (N, L) lines is there, one after the other, and how many the first lacks of that."""
    changes = np.flatnonzero((lines[1:] != lines[:-1]).any(axis=1)) + 1
    if changes.size < MIN_CHANGES:
        return 1, 0
    step = int(np.gcd.reduce(np.diff(changes)))
    return step, int(-changes[0] % step)
