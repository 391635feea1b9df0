"""A mask of a volume's projection that a person corrected, on its way in."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from mipseg.checks import validate_segmentation
from mipseg.errors import ImageError, InputError, SegmentationError
from mipseg.io.mask_png import alpha_of, decode_rgb, encode_png
from mipseg.serving.problems import ProblemError
from mipseg.types import Mask


def check_mask(data: bytes, projection: Path, max_pixels: int) -> bytes:
    """Check a corrected mask.

    Args:
        data: a PNG, black and white; an alpha must be the same everywhere, or opaque exactly where there is tumour.
        projection: the PNG file of the image that it is a mask of.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        The mask as a PNG with 1 bit.

    Raises:
        ProblemError: it is no such mask; says what is wanted.
    """
    image = decode_rgb(projection.read_bytes())
    try:
        mask = decode_rgb(data, max_pixels)
        validate_segmentation(image, mask)
        _check_alpha(data, mask)
    except (InputError, SegmentationError) as error:
        height, width, _ = image.shape
        wanted = f"send a PNG of {height} x {width} pixels (rows, columns), 255 where there is tumour, else 0"
        raise ProblemError("invalid-mask", f"{error}; {wanted}") from None
    return encode_png(np.ascontiguousarray(mask[:, :, 0] != 0))


def _check_alpha(data: bytes, mask: Mask) -> None:
    """Refuse a mask of which colours and alpha say different things: the tumour may be in either."""
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as picture:
        alpha = alpha_of(picture)
    if alpha is not None and not np.array_equal(alpha, mask[:, :, 0]):
        raise ImageError("the mask's alpha is neither the same everywhere nor that of its white pixels")
