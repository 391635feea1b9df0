"""Bars and frames around an image: uniform lines at its edges that are not air."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

TOLERANCE = 0.02  # how far intensities of one bar may lie apart; JPEG moves them by less
SHARE = 0.9  # of a line that is all bar; corners and rulers may cover the rest
SMOOTHING = 15  # pixels over which the noise of a bar is averaged
MIN_SHARE = 0.3  # of a line with text or buttons in a bar that is of the bar's intensity
MAX_FOREIGN = 3  # lines in a row that may have less, such as outlines of buttons
MAX_WRITTEN = 0.2  # of all lines that may lie between two that are all bar; a body takes more


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
    left += _bar_width(intensity[top:bottom, left:right].T)
    right -= _bar_width(intensity[top:bottom, left:right].T[::-1])
    top += _bar_width(intensity[top:bottom, left:right])
    bottom -= _bar_width(intensity[top:bottom, left:right][::-1])
    return Box(top, bottom, left, right)


def _bar_width(lines: Intensity) -> int:
    """How many of (N, L) lines, from an edge inwards, bars cover; one is always left.

    What is written in a bar is part of it: lines that hold less of its intensity, up to one that is all bar again.
    """
    level = _bar_level(lines[0])
    if level is None:
        level = _bar_level(uniform_filter1d(lines[0], SMOOTHING))
        if level is not None:  # a noisy bar
            lines = uniform_filter1d(lines, SMOOTHING, axis=1)
    if level is None or len(lines) < 2:
        return 0
    width, foreign = 1, 0
    for number, line in enumerate(lines[1:-1], 1):
        share = _share_near(line, level)
        if share < MIN_SHARE and (other := _bar_level(line)) is not None:
            level, share = other, 1.0
        if share >= SHARE:
            width, foreign = number + 1, 0
            continue
        foreign = 0 if share >= MIN_SHARE else foreign + 1
        if foreign > MAX_FOREIGN or number - width > MAX_WRITTEN * len(lines):
            break
    return width


def _bar_level(line: Intensity) -> float | None:
    """The intensity of a line that is all bar, else None."""
    level = float(np.median(line))
    return level if level > BODY_LEVEL and _share_near(line, level) >= SHARE else None


def _share_near(line: Intensity, level: float) -> float:
    return float((np.abs(line - level) <= TOLERANCE).mean())
