"""What can be undone before the prediction, in the order in which it is undone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from mipseg.repair import air, scale, window
from mipseg.repair.border import content_box
from mipseg.repair.codes import InputWarning
from mipseg.repair.geometry import Geometry
from mipseg.repair.inversion import invert, is_inverted
from mipseg.repair.judgement import EMPTY, doubtful_grain, examine, is_noisy, is_uniform
from mipseg.repair.marks import without_marks
from mipseg.repair.repeats import without_repeats
from mipseg.types import Intensity


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
    intensity, greys = _with_usual_greys(intensity)
    box = content_box(intensity)
    part = box.of(intensity)
    smoothed = without_repeats(part)
    repeats = [InputWarning.REPEATED] if smoothed is not part else []
    cleaned = smoothed if is_noisy(smoothed) else without_marks(smoothed)
    borders = [InputWarning.BORDER_REMOVED] if part.shape != intensity.shape or cleaned is not smoothed else []
    geometry = Geometry(intensity.shape, box, scale.resampled_shape(part.shape, spacing))
    seen = geometry.apply(cleaned)
    found = examine(seen)
    size = found.size if spacing is None else None
    if found.turns or size:
        resampled = scale.usual_shape(part.shape, size) if size else geometry.resampled
        geometry = replace(geometry, resampled=resampled, turns=found.turns)
        seen = geometry.apply(cleaned)
    if found.level is not None:
        seen = window.brightened(seen, found.level)
    return Repaired(seen, (*greys, *borders, *repeats, *found.warnings, *doubtful_grain(seen, found)), geometry)


def _with_usual_greys(intensity: Intensity) -> tuple[Intensity, list[InputWarning]]:
    """Make air 0 and what is hot 1; also what was done."""
    if is_uniform(intensity):
        return intensity, []
    done = []
    if is_inverted(intensity):
        intensity = invert(intensity)
        done.append(InputWarning.INVERTED)
    if level := air.air_level(intensity):
        intensity = air.without_offset(intensity, level)
        done.append(InputWarning.GREY_AIR)
    return intensity, done
