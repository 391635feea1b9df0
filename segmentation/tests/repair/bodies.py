"""Bodies to repair: phantoms, drawn once, and what people do to images."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from mipseg.phantom import make_phantom
from mipseg.types import GreyImage, Intensity

SEEDS = range(4)


@cache
def phantom(seed: int, height: int = 489) -> GreyImage:
    """(H, 400) uint8, air 255."""
    return make_phantom(seed, height=height).mip


def intensity(image: npt.NDArray[np.uint8]) -> Intensity:
    """(H, W) uint8, air 255 -> float32 in [0, 1], air 0."""
    return np.asarray((255 - image).astype(np.float32) / np.float32(255))


def with_colour_bar(image: GreyImage) -> GreyImage:
    """A grey bar of 15 px beside the body, white at its lower end."""
    image = image.copy()
    image[30:330, 8:23] = np.linspace(0, 255, 300).astype(np.uint8)[:, None]
    return image


def with_text(image: GreyImage, text: str, size: int, shade: int = 0) -> GreyImage:
    """Text in the upper left corner."""
    picture = PillowImage.fromarray(image)
    ImageDraw.Draw(picture).text((4, 4), text, fill=shade, font=ImageFont.load_default(size))
    return np.asarray(picture)


def with_ruler(image: GreyImage) -> GreyImage:
    """A scale of 50 px in the lower left corner."""
    image = image.copy()
    image[-15:-12, 10:60] = 0
    image[-20:-7, [10, 59]] = 0
    return image


def with_dot(image: GreyImage) -> GreyImage:
    """A black square of 7 px in the upper left corner."""
    image = image.copy()
    image[20:27, 20:27] = 0
    return image


def resized(image: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.uint8]:
    """The same body at other pixels."""
    height, width = (round(side * factor) for side in image.shape)
    return np.asarray(PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR))


def in_window(image: GreyImage, top: float) -> GreyImage:
    """The same body with another top of its SUV window than 6; what was saturated stays what it was."""
    return np.asarray(255 - np.minimum((255.0 - image) * 6 / top, 255).round(), np.uint8)
