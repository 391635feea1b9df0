"""Bodies to repair: phantoms, drawn once, and what people do to images."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from scipy import ndimage

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


def blurred(image: GreyImage, sigma: float) -> GreyImage:
    """By a Gaussian, sigma in pixels."""
    return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), sigma).round(), np.uint8)


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


def in_viewer(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A dark window of 50 px above and below and 120 px beside it, with an outline, a title, buttons and a list."""
    window = PillowImage.fromarray(np.pad(image, ((50, 50), (120, 120)), constant_values=35))
    draw = ImageDraw.Draw(window)
    draw.rounded_rectangle((4, 4, window.width - 5, window.height - 5), 14, outline=255)
    draw.text((130, 6), "PET viewer - series 3", fill=255)
    draw.text((130, image.shape[0] + 70), "W 6.0 L 3.0  SUVbw", fill=255)
    for place in range(130, image.shape[1] + 100, 30):
        draw.rectangle((place, 22, place + 20, 42), outline=180)
    for place in range(60, image.shape[0], 40):
        draw.rectangle((15, place, 39, place + 24), fill=200)
        draw.text((55, place + 6), f"Series {place}", fill=220)
    return np.asarray(window)


def with_noisy_bars(image: GreyImage) -> GreyImage:
    """Bars of 80 px at both sides, nearly black."""
    image = np.pad(image, ((0, 0), (80, 80)))
    for bar in (image[:, :80], image[:, -80:]):
        bar[:] = np.random.default_rng(0).integers(0, 25, bar.shape)
    return image


def in_greys(image: npt.NDArray[np.uint8], darkest: int, palest: int) -> npt.NDArray[np.uint8]:
    """The same image with other greys for black and white."""
    return (darkest + image * ((palest - darkest) / 255)).round().astype(np.uint8)


def resized(image: npt.NDArray[np.uint8], factor: float, stretch: float = 1) -> npt.NDArray[np.uint8]:
    """The same body at other pixels; rows are stretched in addition."""
    height, width = round(image.shape[0] * factor * stretch), round(image.shape[1] * factor)
    return np.asarray(PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR))


def in_window(image: GreyImage, top: float) -> GreyImage:
    """The same body with another top of its SUV window than 6; what was saturated stays what it was."""
    return np.asarray(255 - np.minimum((255.0 - image) * 6 / top, 255).round(), np.uint8)
