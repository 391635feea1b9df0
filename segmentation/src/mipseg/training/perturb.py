"""Known changes of an image and its reference, for `mipseg.training.robustness`."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage
from scipy import ndimage

from mipseg.constants import PITCH_MM, WINDOW_TOP_SUV
from mipseg.types import BinaryMask, GreyImage

UNCHANGED = "unchanged"


class Perturbed(NamedTuple):
    """What comes of a case.

    Attributes:
        image: (H, W) uint8.
        mask: (H, W) bool, the reference on its grid.
        spacing: millimetres between rows and between columns, as a user would give them; None: not given.
    """

    image: GreyImage
    mask: BinaryMask
    spacing: tuple[float, float] | None = None


Perturbation = Callable[[GreyImage, BinaryMask, np.random.Generator], Perturbed]


def _unchanged(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
    return Perturbed(image, mask)


def _window(top: float) -> Perturbation:
    """Another top of the SUV window; above the data's, saturated pixels turn paler, since what they were is lost."""

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
        grey = (255.0 - image) * WINDOW_TOP_SUV / top
        return Perturbed((255 - np.minimum(grey, 255).round()).astype(np.uint8), mask)

    return perturb


def _rescaled(factor: float, *, told: bool) -> Perturbation:
    """Other pixels: the image bilinear (averaged when smaller), the reference by nearest neighbour."""
    spacing = (PITCH_MM / factor, PITCH_MM / factor) if told else None

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
        height, width = (round(side * factor) for side in image.shape)
        resized = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR)
        reference = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.NEAREST)
        return Perturbed(np.asarray(resized), np.asarray(reference), spacing)

    return perturb


def _mirrored(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
    return Perturbed(image[:, ::-1], mask[:, ::-1])


def _jpeg(quality: int) -> Perturbation:
    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
        buffer = io.BytesIO()
        PillowImage.fromarray(image).save(buffer, "JPEG", quality=quality)
        return Perturbed(np.asarray(PillowImage.open(buffer)), mask)

    return perturb


def _blurred(sigma: float) -> Perturbation:
    """A Gaussian blur, sigma in pixels."""

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
        return Perturbed(ndimage.gaussian_filter(image.astype(np.float32), sigma).round().astype(np.uint8), mask)

    return perturb


def _with_levels(levels: int) -> Perturbation:
    """Few grey levels, as in a picture with a palette."""
    step = 255 / (levels - 1)

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
        return Perturbed((np.rint(image / step) * step).round().astype(np.uint8), mask)

    return perturb


def _noisy(sigma: float) -> Perturbation:
    """Gaussian noise, sigma in grey values of 255."""

    def perturb(image: GreyImage, mask: BinaryMask, rng: np.random.Generator) -> Perturbed:
        return Perturbed(np.clip(image + rng.normal(0, sigma, image.shape).round(), 0, 255).astype(np.uint8), mask)

    return perturb


def _inverted(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
    return Perturbed(255 - image, mask)


def _bordered(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> Perturbed:
    sides = ((0, 0), (100, 100))
    return Perturbed(np.pad(image, sides), np.pad(mask, sides))


PERTURBATIONS: dict[str, Perturbation] = {  # the unchanged image first: the others are compared with it
    UNCHANGED: _unchanged,
    **{f"SUV window to {top:g} instead of {WINDOW_TOP_SUV:g}": _window(top) for top in (3, 4, 5, 8, 10)},
    **{f"rescaled by {factor:g}": _rescaled(factor, told=False) for factor in (0.8, 1.25)},
    **{f"rescaled by {factor:g}, the spacing given": _rescaled(factor, told=True) for factor in (0.5, 2)},
    "mirrored": _mirrored,
    "inverted": _inverted,
    "100 px of black at both sides": _bordered,
    **{f"JPEG of quality {quality}": _jpeg(quality) for quality in (75, 40, 20)},
    **{f"blurred by {sigma} px": _blurred(sigma) for sigma in (1, 2, 3)},
    "16 grey levels": _with_levels(16),
    **{f"noise of {sigma} grey values": _noisy(sigma) for sigma in (5, 10)},
}
