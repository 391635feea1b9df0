"""Bars and frames around an image: uniform lines at its edges that are not air."""

from typing import NamedTuple

import numpy as np

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

TOLERANCE = 0.02  # how far intensities of one bar may lie apart; JPEG moves them by less
SHARE = 0.9  # of a line that is of the bar's intensity; text may cover the rest


class Box(NamedTuple):
    """A part of an image: rows and columns, each from the first up to the one behind the last."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: Intensity) -> Intensity:
        """This part of an (H, W) image, as a view."""
        return image[self.top : self.bottom, self.left : self.right]


def content_box(intensity: Intensity) -> Box:
    """Find what bars and frames enclose.

    Air may lie between the image's edge and a frame. A frame counts only if it leaves something.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The whole image if there are no bars.
    """
    box = content = Box(0, intensity.shape[0], 0, intensity.shape[1])
    while True:
        trimmed = _without_air(intensity, box)
        box = _without_bars(intensity, trimmed)
        if box == trimmed:
            return content
        if min(box.bottom - box.top, box.right - box.left) < 2:
            return content
        content = box


def _without_air(intensity: Intensity, box: Box) -> Box:
    inside = box.of(intensity) > BODY_LEVEL
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return box
    top, left = box.top, box.left
    return Box(top + int(rows[0]), top + int(rows[-1]) + 1, left + int(columns[0]), left + int(columns[-1]) + 1)


def _without_bars(intensity: Intensity, box: Box) -> Box:
    top, bottom, left, right = box
    while right - left > 1 and _is_bar(intensity[top:bottom, left]):
        left += 1
    while right - left > 1 and _is_bar(intensity[top:bottom, right - 1]):
        right -= 1
    while bottom - top > 1 and _is_bar(intensity[top, left:right]):
        top += 1
    while bottom - top > 1 and _is_bar(intensity[bottom - 1, left:right]):
        bottom -= 1
    return Box(top, bottom, left, right)


def _is_bar(line: Intensity) -> bool:
    level = np.median(line)
    return bool(level > BODY_LEVEL and (np.abs(line - level) <= TOLERANCE).mean() >= SHARE)
