"""What an image shows, and what is doubtful about it or its mask."""

from typing import NamedTuple

import numpy as np

from mipseg.model.preprocess import match_window
from mipseg.model.texture import smoothness
from mipseg.repair import bodies, scale, window
from mipseg.repair.coarse import halved
from mipseg.repair.codes import InputWarning
from mipseg.repair.orientation import body_box, pose
from mipseg.types import BinaryMask, Intensity

MIN_CONTRAST = 0.1  # of intensities; less is a uniform image
MIN_SIDE = 100  # pixels
AIR, MIN_AIR = 0.1, 0.2  # intensity below which is air, and the share of an image that is air
MAX_STEP = 0.075  # between neighbours at half resolution, on average
MIN_BODY_SHARE = 0.01  # of the pixels
MAX_SMOOTHNESS = 0.6  # 0.24 at most in the data set; a blur of 2 px gives 0.6 to 0.8, voxels of 6 mm 0.7
MAX_MASK_SHARE = 0.5  # of the body's pixels; 0.42 at most in the data set
EMPTY = frozenset({InputWarning.UNIFORM, InputWarning.NO_BODY})
"""The warnings of an image whose mask must be empty."""


class Findings(NamedTuple):
    """What an image shows.

    Attributes:
        turns: quarter turns that bring the body upright.
        size: of the body, as it lies, over the usual one, where that is unusual and can be told; else None.
        level: of the body's intensities, see `window.log_level`, where that is unusual; else None.
        warnings: what is doubtful once it is upright.
    """

    turns: int
    size: scale.Size | None
    level: float | None
    warnings: list[InputWarning]


def examine(intensity: Intensity) -> Findings:
    """Say what an image of (H, W) intensities in [0, 1], air 0, shows."""
    if is_uniform(intensity):
        return Findings(0, None, None, [InputWarning.UNIFORM])
    half = halved(intensity)
    box = body_box(half)
    if box is None:
        return Findings(0, None, None, [InputWarning.NO_BODY])
    boxed = box.of(half)
    if boxed.size < MIN_BODY_SHARE * half.size or bodies.is_drawing(half, boxed):
        return Findings(0, None, None, [InputWarning.NO_BODY])
    found = pose(boxed)
    several = bodies.are_several(half, boxed, found.likeness)
    turns = 0 if several else found.turns
    body = np.rot90(boxed, turns)
    level, noisy = window.log_level(body), is_noisy(intensity)
    bright = window.brightened(body, level)
    is_other_window = window.is_unusual(level)
    # With another window, what is hot can't be told.
    is_part = not is_other_window and bodies.is_part(bright, found.likeness)
    can_be_measured = not (several or is_other_window or is_part or noisy)
    size = scale.unusual_size(bright) if can_be_measured else None
    if size and turns % 2:
        size = scale.Size(size.width, size.height)
    doubtful = {
        InputWarning.ORIENTATION: turns > 0,
        InputWarning.SEVERAL_BODIES: several,
        InputWarning.WINDOW: is_other_window,
        InputWarning.PART_OF_BODY: is_part,
        InputWarning.SCALE: size is not None,
        InputWarning.NO_AIR: float((intensity < AIR).mean()) < MIN_AIR,
        InputWarning.NOISE: noisy,
        InputWarning.SMALL: min(intensity.shape) < MIN_SIDE,
    }
    warnings = [code for code, is_so in doubtful.items() if is_so]
    return Findings(turns, size, level if is_other_window else None, warnings)


def judge(intensity: Intensity) -> tuple[InputWarning, ...]:
    """What is doubtful about an image that has nothing to repair, such as the projection of a volume.

    Args:
        intensity: (H, W) float32 in [0, 1], air 0.
    """
    found = examine(intensity)
    return tuple(found.warnings + doubtful_grain(intensity, found))


def doubtful_grain(seen: Intensity, found: Findings) -> list[InputWarning]:
    """Whether an image is too smooth for the networks, once it has the usual size.

    Args:
        seen: (h, w) in [0, 1], as the networks get it.
        found: what `examine` said; with another window, greys are few anyway.
    """
    is_told = not EMPTY.isdisjoint(found.warnings) or InputWarning.WINDOW in found.warnings
    return [InputWarning.SMOOTH] if not is_told and smoothness(match_window(seen)) > MAX_SMOOTHNESS else []


def doubts(intensity: Intensity, tumour: BinaryMask) -> tuple[InputWarning, ...]:
    """Reasons to doubt a mask that only the mask shows.

    Args:
        intensity: (h, w) in [0, 1], as the networks saw it.
        tumour: (h, w) bool, its mask.
    """
    return (InputWarning.IMPLAUSIBLE,) if tumour.sum() > MAX_MASK_SHARE * (intensity > AIR).sum() else ()


def is_noisy(intensity: Intensity) -> bool:
    """Whether neighbours differ more than in any PET."""
    steps = np.abs(np.diff(halved(intensity), axis=1))
    return steps.size > 0 and float(steps.mean()) > MAX_STEP


def is_uniform(intensity: Intensity) -> bool:
    """Whether an image shows nothing at all."""
    return float(np.ptp(intensity)) < MIN_CONTRAST
