"""Images that are not quite the data set's: repaired and said, or doubted and said.

`repair` is asked before the prediction, `doubts` after it. An image like the data set's passes as it is, with no word.
Each other file answers one question about an image.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.repair import bodies, scale, window
from mipseg.repair.border import content_box
from mipseg.repair.coarse import halved
from mipseg.repair.codes import OF_VOLUME, PLAIN, InputWarning
from mipseg.repair.geometry import Geometry
from mipseg.repair.inversion import invert, is_inverted
from mipseg.repair.marks import without_marks
from mipseg.repair.orientation import body_box, pose
from mipseg.types import BinaryMask, Intensity

__all__ = ["OF_VOLUME", "PLAIN", "InputWarning", "Repaired", "doubts", "repair"]

MIN_CONTRAST = 0.1  # of intensities; less is a uniform image
MIN_SIDE = 100  # pixels
AIR, MIN_AIR = 0.1, 0.2  # intensity of air, and the share of an image that is air
MAX_STEP = 0.075  # between neighbours at half resolution, on average
MIN_BODY_SHARE = 0.01  # of the pixels
MAX_MASK_SHARE = 0.25  # of the pixels; 0.17 at most in the data set
EMPTY = frozenset({InputWarning.UNIFORM, InputWarning.NO_BODY})


@dataclass(frozen=True, eq=False)
class Repaired:
    """An image as the networks should see it.

    Attributes:
        intensity: (h, w) float32 in [0, 1], air 0: upright, at 2 mm per pixel if the spacing was given; else of about
            the usual size.
        warnings: what was repaired, and what is doubtful; `PLAIN` has the words.
        geometry: where it lies in the original.
    """

    intensity: Intensity
    warnings: tuple[InputWarning, ...]
    geometry: Geometry

    @property
    def has_body(self) -> bool:
        """Whether there is anything to segment; if not, the mask must be empty."""
        return EMPTY.isdisjoint(self.warnings)

    def restore(self, repaired: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring a probability map or a mask of `intensity` to the original's shape; see `Geometry.restore`."""
        return self.geometry.restore(repaired)


def repair(intensity: Intensity, spacing: tuple[float, float] | None = None) -> Repaired:
    """Undo what can be undone, and name what can't.

    Args:
        intensity: (H, W) float32 in [0, 1], air 0.
        spacing: millimetres between rows and between columns, if known.

    Raises:
        ArgumentError: the spacing is not a possible one.
    """
    warnings = []
    if is_inverted(intensity) and not _is_uniform(intensity):
        intensity = invert(intensity)
        warnings.append(InputWarning.INVERTED)
    box = content_box(intensity)
    part = box.of(intensity)
    cleaned = part if _is_noisy(part) else without_marks(part)
    if part.shape != intensity.shape or cleaned is not part:
        warnings.append(InputWarning.BORDER_REMOVED)
    geometry = Geometry(intensity.shape, box, scale.resampled_shape(part.shape, spacing))
    seen = geometry.apply(cleaned)
    judged = _judge(seen)
    size = judged.size if spacing is None else None
    if judged.turns or size:
        resampled = scale.usual_shape(part.shape, size) if size else geometry.resampled
        geometry = replace(geometry, resampled=resampled, turns=judged.turns)
        seen = geometry.apply(cleaned)
    if judged.level is not None:
        seen = window.brightened(seen, judged.level)
    return Repaired(seen, (*warnings, *judged.warnings), geometry)


def judge(intensity: Intensity) -> tuple[InputWarning, ...]:
    """What is doubtful about an image that has nothing to repair, such as the projection of a volume.

    Args:
        intensity: (H, W) float32 in [0, 1], air 0.
    """
    return tuple(_judge(intensity).warnings)


def doubts(intensity: Intensity, tumour: BinaryMask) -> tuple[InputWarning, ...]:
    """Reasons to doubt a mask that only the mask shows.

    Args:
        intensity: (h, w) in [0, 1], as the networks saw it.
        tumour: (h, w) bool, its mask.
    """
    return (InputWarning.IMPLAUSIBLE,) if tumour.sum() > MAX_MASK_SHARE * intensity.size else ()


class _Judged(NamedTuple):
    """What an image shows.

    Attributes:
        turns: quarter turns that bring the body upright.
        size: of the body over the usual one, where that is unusual and can be told; else None.
        level: of the body's intensities, see `window.log_level`, where that is unusual; else None.
        warnings: what is doubtful once it is upright.
    """

    turns: int
    size: float | None
    level: float | None
    warnings: list[InputWarning]


def _judge(intensity: Intensity) -> _Judged:
    if _is_uniform(intensity):
        return _Judged(0, None, None, [InputWarning.UNIFORM])
    half = halved(intensity)
    box = body_box(half)
    if box is None:
        return _Judged(0, None, None, [InputWarning.NO_BODY])
    boxed = box.of(half)
    if boxed.size < MIN_BODY_SHARE * half.size or bodies.is_drawing(half, boxed):
        return _Judged(0, None, None, [InputWarning.NO_BODY])
    found = pose(boxed)
    several = bodies.are_several(half, boxed, found.likeness)
    turns = 0 if several else found.turns
    body = np.rot90(boxed, turns)
    level, is_noisy = window.log_level(body), _is_noisy(intensity)
    bright = window.brightened(body, level)
    is_other_window = window.is_unusual(level)
    # With another window, what is hot can't be told.
    is_part = not is_other_window and bodies.is_part(bright, found.likeness)
    can_be_measured = not (several or is_other_window or is_part or is_noisy)
    size = scale.unusual_size(bright) if can_be_measured else None
    doubtful = {
        InputWarning.ORIENTATION: turns > 0,
        InputWarning.SEVERAL_BODIES: several,
        InputWarning.WINDOW: is_other_window,
        InputWarning.PART_OF_BODY: is_part,
        InputWarning.SCALE: size is not None,
        InputWarning.NO_AIR: float((intensity < AIR).mean()) < MIN_AIR,
        InputWarning.NOISE: is_noisy,
        InputWarning.SMALL: min(intensity.shape) < MIN_SIDE,
    }
    return _Judged(turns, size, level if is_other_window else None, [code for code, is_so in doubtful.items() if is_so])


def _is_noisy(intensity: Intensity) -> bool:
    steps = np.abs(np.diff(halved(intensity), axis=1))
    return steps.size > 0 and float(steps.mean()) > MAX_STEP


def _is_uniform(intensity: Intensity) -> bool:
    return float(np.ptp(intensity)) < MIN_CONTRAST
