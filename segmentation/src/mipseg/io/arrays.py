"""From an image array to intensity: the one rule, for files, HTTP, training and the library."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.errors import ArgumentError
from mipseg.types import GreyImage, Intensity, Probability

WANTED = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, or (H, W) uint16, where air is white and the hottest black"


def intensity_of_image(image: npt.NDArray[Any]) -> Intensity:
    """Turn an image (air white, hot black) into intensity (air 0, top of the SUV window 1).

    Colours become grey by ITU-R BT.601's luma; what is transparent shows white, which is air.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, or (H, W) uint16; any memory layout.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ArgumentError: any other array. Nothing is guessed: a float array in [0, 1] may be an image or intensity.
    """
    _check_image(image)
    if image.dtype == np.uint16:
        return np.asarray((65535 - image).astype(np.float32) / np.float32(65535))
    return np.asarray((255 - grey_of_image(image)).astype(np.float32) / np.float32(255))


def image_of_intensity(intensity: Intensity) -> GreyImage:
    """Show intensity as an image, rounded to 8 bits: the way back of `intensity_of_image`.

    Args:
        intensity: (H, W) float32 in [0, 1], air 0.

    Returns:
        (H, W) uint8, air 255.
    """
    return np.rint((1 - intensity) * 255).astype(np.uint8)


def image_of_probability(probability: Probability) -> npt.NDArray[np.uint8]:
    """Show probabilities as an image of 8 bits: 0 is 0, 1 is 255.

    Args:
        probability: (H, W) float32 in [0, 1].

    Returns:
        (H, W) uint8.
    """
    return np.rint(probability * 255).astype(np.uint8)


def grey_of_image(image: npt.NDArray[np.uint8]) -> GreyImage:
    """One grey channel of an 8-bit image; see `intensity_of_image`."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[:, :, 0]
    pixels = PillowImage.fromarray(np.ascontiguousarray(image))
    if image.shape[2] == 4:
        pixels = PillowImage.alpha_composite(PillowImage.new("RGBA", pixels.size, "white"), pixels)
    return np.asarray(pixels.convert("L"))


def _check_image(image: npt.NDArray[Any]) -> None:
    if not isinstance(image, np.ndarray):
        raise ArgumentError(f"an image must be a NumPy array, not {type(image).__name__}; wanted: {WANTED}")
    came = f"the image is {image.dtype} of shape {image.shape}"
    if image.dtype.kind == "f":
        raise ArgumentError(f"{came}; wanted: {WANTED}. Intensity (float, air 0) goes to `mipseg.pipeline.analyze`")
    if image.dtype == np.bool_:
        raise ArgumentError(f"{came}, which is a mask; wanted: {WANTED}")
    if image.dtype not in (np.uint8, np.uint16) or 0 in image.shape:
        raise ArgumentError(f"{came}; wanted: {WANTED}")
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[2] > 4:
        raise ArgumentError(f"{came}: its channels come first; move them with np.moveaxis(image, 0, -1)")
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or (image.dtype == np.uint16 and image.ndim == 3):
        raise ArgumentError(f"{came}; wanted: {WANTED}")


def pixels_of_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Turn an image or a mask of any number type into pixels.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); whole numbers from 0 to 255, or truth values.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4) uint8; True becomes 255.

    Raises:
        ArgumentError: another shape or other values. A float array in [0, 1] is refused rather than cut to black.
    """
    wanted = "wanted: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), whole numbers from 0 to 255, or a mask of truth values"
    came = f"the array is {array.dtype} of shape {array.shape}"
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ArgumentError(f"{came}; {wanted}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[2] not in (3, 4):
        raise ArgumentError(f"{came}; {wanted}")
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    lowest, highest = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and 0 < highest <= 1 and lowest >= 0:
        raise ArgumentError(f"{came} and goes from {lowest:g} to {highest:g}; {wanted}: multiply it by 255")
    pixels = array.astype(np.uint8) if 0 <= lowest <= highest <= 255 else None  # never NaN
    if pixels is None or not (pixels == array).all():
        raise ArgumentError(f"{came} and goes from {lowest:g} to {highest:g}; {wanted}")
    return pixels
