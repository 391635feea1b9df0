"""Base64 PNG or JPEG <-> array, for bytes that nobody has looked at yet.

Every check that can be made on the header is made before a pixel is decoded.
"""

import base64
import binascii
import io
import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, ImageFile
from PIL import Image as PillowImage

from mipseg.constants import MAX_PIXELS
from mipseg.errors import Base64Error, ImageError, ImageTooLargeError, NotGreyError
from mipseg.io import jpeg, png
from mipseg.io.arrays import pixels_of_array
from mipseg.io.sizes import check_size, too_large
from mipseg.types import GreyImage, Image

_DATA_URL = re.compile(r"data:(image/(png|jpeg|jpg)|application/octet-stream);base64,", re.IGNORECASE)
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\v\f"
_UPRIGHT = 0, 1  # 0 stands for unknown
_MAX_SPREAD = 32  # between the colours of a pixel that still counts as grey: JPEG's noise is below
_MAX_COLOURED = 2e-4  # share of the pixels that may be coloured
_DARK = 128  # darker than this, and than the rest, is the rim of a body in inverted images only
_MAX_SPARE_BITS = 2  # of 16 that colours may leave unused


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        image: (H, W, 3) uint8 with three equal channels.
        bit_depth: bits that the values of a 16-bit file use, if fewer than 16; else None.
    """

    image: Image
    bit_depth: int | None


def decode_request(img: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Read the `img` of a request.

    Args:
        img: a PNG or JPEG in base64; the prefix `data:image/png;base64,`, or that of image/jpeg or
            application/octet-stream, the URL-safe alphabet, line breaks and missing
            padding are accepted.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        (H, W, 3) uint8 with three equal channels. What is transparent shows white, or black around an inverted body;
        16-bit values are scaled by the bits that they use. Tints as weak as those of JPEG are turned to grey (ITU-R
        601-2 luma).

    Raises:
        Base64Error: not base64.
        NotGreyError: coloured.
        ImageError: not a sound PNG or JPEG, or one in CMYK or with an EXIF rotation.
        ImageTooLargeError: more pixels than `max_pixels`, or a side beyond 10,000.
    """
    return decode_image(decode_base64(img), max_pixels)


def encode_request(img: npt.NDArray[Any]) -> str:
    """Write an array as base64 PNG, the form that a request and an answer carry.

    Args:
        img: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with whole numbers from 0 to 255, or a mask of truth values.

    Raises:
        ArgumentError: any other array.
    """
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels_of_array(np.asarray(img))).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode base64 strictly, after its accepted spellings are brought to one form; see `decode_request`.

    Raises:
        Base64Error: empty, or anything that is not base64.
    """
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    try:
        plain = text.encode("ascii").translate(_FROM_URL_SAFE, _BLANKS).rstrip(b"=")
        data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Base64Error("img is not valid base64") from None
    if not data:
        raise Base64Error("img is empty; send a PNG or JPEG in base64")
    return data


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a PNG or JPEG."""
    return head.startswith((png.SIGNATURE, jpeg.SIGNATURE))


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a PNG or JPEG file; see `decode_request`."""
    return decode(data, max_pixels).image


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a PNG or JPEG file and say whether its bit depth was guessed; see `decode_request`."""
    info = None
    if data.startswith(png.SIGNATURE):
        info = png.check_png(data, max_pixels)
        data = data[: info.end]
    elif not data.startswith(jpeg.SIGNATURE):
        raise ImageError("img is neither a PNG nor a JPEG")
    else:
        data = jpeg.check_jpeg(data)
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # some libraries set it for the whole process
    try:
        with PillowImage.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            check_size(*image.size, max_pixels)
            if image.mode == "CMYK":
                raise ImageError("CMYK images are not accepted; send grey or RGB")
            image.load()
            # Pillow and OpenCV disagree about rotation by EXIF; a wrong guess would swap left and right.
            if image.getexif().get(ExifTags.Base.Orientation, 1) not in _UPRIGHT:
                raise ImageError("images with an EXIF orientation are not accepted; rotate the pixels instead")
            if info is None:
                jpeg.check_pixels(data, image)
            grey, bit_depth = _to_grey(image, info)
    except (ImageError, ImageTooLargeError):
        raise
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning):
        raise too_large(max_pixels) from None
    except Exception as error:  # decoders raise nearly anything on damaged files (Pillow#9814)
        raise ImageError("img can't be decoded; the file is damaged") from error
    return Decoded(np.repeat(grey[:, :, None], 3, axis=2), bit_depth)


def _to_grey(image: PillowImage.Image, info: png.PngInfo | None) -> tuple[GreyImage, int | None]:
    """Turn pixels to grey on white; also the bit depth, if it was guessed."""
    if image.mode.startswith("I"):
        return _scaled(np.asarray(image).astype(np.uint32), info.significant if info else None)
    if info and info.colour == png.PALETTE and np.asarray(image).max(initial=0) >= info.entries:
        raise ImageError("the PNG is damaged: pixels name colours that its palette lacks")
    # By way of RGBA: a palette with transparency can't be turned to RGB without a warning.
    colours = image.convert("RGBA")
    background = PillowImage.new("RGBA", image.size, _shade_behind(colours))
    shown = np.asarray(PillowImage.alpha_composite(background, colours))[:, :, :3]
    if info and info.depth == 16 and shown.max(initial=0) < 256 >> _MAX_SPARE_BITS:
        raise ImageError("the 16-bit colours use few of their bits; send a grey PNG")
    _check_grey(shown)
    return np.asarray(PillowImage.fromarray(shown).convert("L")), None


def _shade_behind(colours: PillowImage.Image) -> str:
    """What transparent air stands for: black where the body's rim is dark, as in an inverted image, else white."""
    if colours.getchannel("A").getextrema() != (0, 255):
        return "white"
    pixels = np.asarray(colours)
    clear, opaque = pixels[:, :, 3] == 0, pixels[:, :, 3] == 255
    rims = pixels[:, 1:][opaque[:, 1:] & clear[:, :-1]], pixels[:, :-1][opaque[:, :-1] & clear[:, 1:]]
    rim = np.concatenate(rims)[:, :3]
    is_dark = rim.size > 0 and np.median(rim) < min(_DARK, pixels[opaque][:, :3].mean())
    return "black" if is_dark else "white"


def _scaled(values: npt.NDArray[np.uint32], significant: int | None) -> tuple[GreyImage, int | None]:
    """Scale 16-bit values to 8 bits, by the bits that the highest one uses; `mipseg.repair` makes air white after."""
    used = int(values.max(initial=0)).bit_length()
    # A depth that the file names counts if the values fit; files that follow the standard scale them to 16 bits.
    depth = significant if significant and significant >= used else used
    depth = max(depth, 8)
    return (values >> (depth - 8)).astype(np.uint8), depth if depth < 16 else None


def _check_grey(colours: npt.NDArray[np.uint8]) -> None:
    # By slices: NumPy takes ten times as long to reduce an axis of length 3.
    red, green, blue = (colours[:, :, channel] for channel in range(3))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    if (highest - lowest > _MAX_SPREAD).mean() > _MAX_COLOURED:
        raise NotGreyError("img is coloured, but a MIP-PET is grey; send it without colour map and overlays")
