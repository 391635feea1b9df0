"""Known changes of an image and its reference, for `mipseg.training.robustness`."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image as PillowImage

from mipseg.types import BinaryMask, GreyImage

DATA_TOP_SUV = 6.0  # about where the data set's images saturate
UNCHANGED = "unchanged"
# (H, W) image and reference -> the same of the perturbed image, on its own grid.
Perturbation = Callable[[GreyImage, BinaryMask, np.random.Generator], tuple[GreyImage, BinaryMask]]


def _unchanged(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
    return image, mask


def _window(top: float) -> Perturbation:
    """Another top of the SUV window; above the data's, saturated pixels turn paler, since what they were is lost."""

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        grey = (255.0 - image) * DATA_TOP_SUV / top
        return (255 - np.minimum(grey, 255).round()).astype(np.uint8), mask

    return perturb


def _rescaled(factor: float) -> Perturbation:
    """Other pixels: the image bilinear (averaged when smaller), the reference by nearest neighbour."""

    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        height, width = (round(side * factor) for side in image.shape)
        resized = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR)
        reference = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.NEAREST)
        return np.asarray(resized), np.asarray(reference)

    return perturb


def _mirrored(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
    return image[:, ::-1], mask[:, ::-1]


def _jpeg(quality: int) -> Perturbation:
    def perturb(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        buffer = io.BytesIO()
        PillowImage.fromarray(image).save(buffer, "JPEG", quality=quality)
        return np.asarray(PillowImage.open(buffer)), mask

    return perturb


def _noisy(sigma: float) -> Perturbation:
    """Gaussian noise, sigma in grey values of 255."""

    def perturb(image: GreyImage, mask: BinaryMask, rng: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        return np.clip(image + rng.normal(0, sigma, image.shape).round(), 0, 255).astype(np.uint8), mask

    return perturb


PERTURBATIONS: dict[str, Perturbation] = {  # the unchanged image first: the others are compared with it
    UNCHANGED: _unchanged,
    **{f"SUV window to {top:g} instead of {DATA_TOP_SUV:g}": _window(top) for top in (4, 5, 8, 10)},
    **{f"rescaled by {factor:g}": _rescaled(factor) for factor in (0.8, 1.25)},
    "mirrored": _mirrored,
    "JPEG of quality 75": _jpeg(75),
    **{f"noise of {sigma} grey values": _noisy(sigma) for sigma in (5, 10)},
}
