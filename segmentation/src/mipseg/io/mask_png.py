"""PNG files of masks and images: read as OpenCV's three-channel decoder does, which the organisers use."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags
from PIL import Image as PillowImage

from mipseg.constants import MAX_PIXELS
from mipseg.errors import ImageError, InputError
from mipseg.io.png import SIGNATURE, check_png
from mipseg.metrics import dice_score
from mipseg.types import BinaryMask, GreyImage

_FEW_PIXELS = 100  # below, two grey levels may be chance


def decode_rgb(data: bytes, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Decode a PNG of any kind: palettes and grey become RGB, alpha is dropped, of 16 bits the upper 8 are kept.

    Args:
        data: the file.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: not a sound PNG.
        ImageTooLargeError: more pixels than `max_pixels`.
    """
    with _opened(data, "img", max_pixels) as image:
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # OpenCV would turn it
            raise ImageError("the PNG has an EXIF orientation; turn its pixels instead")
        if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip
            grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        image.info.pop("transparency", None)  # with it, Pillow would warn about a palette that loses its alpha
        return np.asarray(image.convert("RGB"))


@contextmanager
def _opened(data: bytes, name: str, max_pixels: int) -> Iterator[PillowImage.Image]:
    """A sound PNG that a stranger sent, decoded; its errors name it."""
    if not data.startswith(SIGNATURE):
        raise ImageError(f"{name} is not a PNG")
    data = data[: check_png(data, max_pixels).end]
    try:
        with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            yield image
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise ImageError(f"{name} can't be decoded; the file is damaged") from error


def alpha_of(image: PillowImage.Image) -> GreyImage | None:
    """The alpha of each pixel, (H, W); None where it says nothing, since it is the same everywhere."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return None
    alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
    return None if alpha.min() == alpha.max() else alpha


def as_rgb_png(data: bytes) -> bytes:
    """An image's PNG file as one in plain RGB with 8 bits; the same file if it is so already.

    Raises:
        ImageError: not a sound PNG.
    """
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as header:
        plain = header.mode == "RGB" and "transparency" not in header.info and data[24:26] == b"\x08\x02"
    return data if plain else encode_png(decode_rgb(data))


def encode_png(pixels: npt.NDArray[np.uint8] | BinaryMask) -> bytes:
    """Write an array as a PNG; of truth values one with 1 bit."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def decode_binary(data: bytes) -> BinaryMask:
    """Read a mask that was written as truth values."""
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image, dtype=np.bool_)


def tumour_of(grey: GreyImage) -> BinaryMask:
    """What a mask of any greys holds: tumour is what is nearer to white."""
    return grey > 127


def decode_mask(data: bytes, name: str) -> npt.NDArray[Any]:
    """The values of a mask that somebody else made, one a pixel.

    Args:
        data: a PNG of 1, 8 or 16 bits, grey or with colours, which become grey.
        name: of the file.

    Raises:
        ImageError: not a sound PNG, or one whose alpha differs between pixels: the tumour may be in it.
        ImageTooLargeError: more pixels than are decoded.
    """
    with _opened(data, name, MAX_PIXELS) as image:
        if alpha_of(image) is not None:
            raise ImageError(f"{name} is transparent in a part, which a mask must not be; save it without transparency")
        image.info.pop("transparency", None)
        return np.asarray(image if image.mode.startswith("I") else image.convert("L"))


def check_is_no_mask(image: npt.NDArray[np.generic]) -> None:
    """Refuse a mask that was given as the image.

    Args:
        image: of whole numbers.

    Raises:
        ImageError: it has two grey levels, and more pixels than may have so by chance.
    """
    low, high = image.min(), image.max()
    if low < high and image.size >= _FEW_PIXELS and ((image == low) | (image == high)).all():
        raise ImageError(f"the image holds only {low} and {high}, as a mask does and PET does not")


def marked_in(values: npt.NDArray[Any], name: str) -> BinaryMask:
    """Where a mask's values, which are 0 and at most one above it, say tumour.

    Raises:
        ImageError: there are others, as in a map of labels or probabilities; names the file and some of them.
    """
    tumour = values > 0
    if not np.where(tumour, values == values.max(), values == 0).all():
        found = np.unique(values)
        listed = ", ".join(f"{value:g}" for value in found[:4])
        raise ImageError(f"{name} has {found.size} values, such as {listed}; a mask has 0 and one above it")
    return np.asarray(tumour)


def describe_mask_file(data: bytes, reference: BinaryMask) -> str:
    """What kind of PNG a mask came in, and what its Dice would be by what the judge does not read.

    Masks have been lost to an alpha that held the tumour, which the judge drops, and to values between 0 and 255.

    Args:
        data: the file.
        reference: (H, W).
    """
    try:
        rgb = decode_rgb(data)
        with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode = image.mode
            alpha = alpha_of(image)
    except (InputError, OSError, ValueError):
        return "not a PNG that can be read"
    said = [mode]
    if alpha is not None:
        said.append(f"its alpha is dropped; by it {_dice_by(alpha, reference)}")
    between = (rgb != 0) & (rgb != 255)
    if between.any():
        said.append(
            f"{between.any(axis=2).mean():.1%} of its pixels are grey; cut at half {_dice_by(rgb[:, :, 0], reference)}"
        )
    return ", ".join(said)


def _dice_by(values: GreyImage, reference: BinaryMask) -> str:
    if values.shape != reference.shape:
        return "its size would be wrong"
    return f"the Dice would be {dice_score(reference, tumour_of(values)):.3f}"
