"""Where the repaired image lies in the original: the one place that crops, resamples and turns, and undoes it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.repair.border import Box
from mipseg.types import Intensity

SHARPENINGS = 2  # see `sharpened`; more change little
# Pixels of scanners are averages over themselves, those of resized images over a little more; this is in between.
CUBIC, AVERAGED = PillowImage.Resampling.BICUBIC, PillowImage.Resampling.HAMMING


@dataclass(frozen=True)
class Geometry:
    """The steps from an original image to the repaired one, in this order.

    Attributes:
        shape: (H, W) of the original.
        box: the part of it that is kept.
        resampled: (h, w) that this part is brought to.
        turns: quarter turns against the clock after that, 0 to 3.
    """

    shape: tuple[int, int]
    box: Box
    resampled: tuple[int, int]
    turns: int = 0

    def apply(self, part: Intensity) -> Intensity:
        """Go from the part of the original that is kept to the repaired image; without a change it is not copied."""
        return np.ascontiguousarray(np.rot90(sharpened(part, self.resampled), self.turns))

    def restore(self, repaired: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring a probability map or a mask of the repaired image back to the original's shape.

        Args:
            repaired: of the repaired image's shape, float or bool; a bool mask is cut at one half between pixels.

        Returns:
            (H, W) of the same type; 0 outside of the part that was kept.
        """
        upright = np.rot90(repaired, -self.turns)
        top, bottom, left, right = self.box
        part = _resized(upright, (bottom - top, right - left))
        if part.shape == self.shape:
            return np.ascontiguousarray(part)
        full = np.zeros(self.shape, repaired.dtype)
        full[top:bottom, left:right] = part
        return full


def sharpened(part: Intensity, shape: tuple[int, int]) -> Intensity:
    """Resample an image so that, averaged over the pixels that it came from, it is again what it was.

    An image of coarse pixels is blurred twice when it grows: by its pixels and by the interpolation. What the averages
    lack is added until they agree (iterative back projection, Irani and Peleg 1991).
    """
    grown = _resized(part, shape)
    if shape[0] <= part.shape[0] and shape[1] <= part.shape[1]:
        return grown
    for _ in range(SHARPENINGS):
        missing = part - _interpolated(grown, part.shape, AVERAGED)
        grown = (grown + _interpolated(missing, shape, CUBIC)).clip(0, 1)
    return grown


def _resized(image: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Resample values in [0, 1]: cubic, for linear would blur what grows, and averaging where the image shrinks."""
    if image.shape == shape:
        return image
    resized = _interpolated(image, shape, CUBIC).clip(0, 1)
    return resized >= 0.5 if image.dtype == bool else resized.astype(image.dtype)


def _interpolated(
    image: npt.NDArray[Any], shape: tuple[int, ...], how: PillowImage.Resampling
) -> npt.NDArray[np.float32]:
    values = PillowImage.fromarray(np.ascontiguousarray(image, np.float32))
    return np.asarray(values.resize((shape[1], shape[0]), how))
