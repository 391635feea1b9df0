"""Base64 PNG or JPEG <-> array, for bytes that nobody has looked at yet.

Every check that can be made on the header is made before a pixel is decoded.
"""

import base64
import binascii
import io
import re
import struct
import zlib

import numpy as np
from PIL import Image as PillowImage

from mipseg.errors import Base64Error, ImageError, ImageTooLargeError
from mipseg.types import Image

MAX_PIXELS = 2_000_000
MAX_SIDE = 10_000  # a picture of one row is padded to 32, so a side must be bounded as well
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

_DATA_URL = re.compile(r"data:image/(png|jpeg|jpg);base64,", re.IGNORECASE)
_FROM_URL_SAFE = str.maketrans("-_", "+/")
_ORIENTATION = 0x0112  # EXIF tag


def decode_request(img: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Read the `img` of a request.

    Args:
        img: a PNG or JPEG in base64; a `data:image/png;base64,` prefix, the URL-safe alphabet, line breaks and missing
            padding are accepted.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        (H, W, 3) uint8 with three equal channels. Colours are turned to grey (ITU-R 601-2 luma), transparency is
        ignored, and of 16-bit values the upper 8 bits are kept.

    Raises:
        Base64Error: not base64.
        ImageError: not a sound PNG or JPEG, or one in CMYK or with an EXIF rotation.
        ImageTooLargeError: more pixels than `max_pixels`, or a side beyond 10,000.
    """
    return decode_image(decode_base64(img), max_pixels)


def encode_request(img: Image) -> str:
    """Write an array as base64 PNG, the form that a request and an answer carry.

    Args:
        img: (H, W, 3) or (H, W), values 0 to 255.
    """
    buffer = io.BytesIO()
    PillowImage.fromarray(np.asarray(img).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode base64 strictly, after its accepted spellings are brought to one form; see `decode_request`.

    Raises:
        Base64Error: empty, or anything that is not base64.
    """
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    text = "".join(text.split()).translate(_FROM_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Base64Error("img is not valid base64") from None
    if not data:
        raise Base64Error("img is empty; send a PNG or JPEG in base64")
    return data


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a PNG or JPEG file; see `decode_request`."""
    if data.startswith(PNG_SIGNATURE):
        data = data[: _check_png(data, max_pixels)]
    elif not data.startswith(JPEG_SIGNATURE):
        raise ImageError("img is neither a PNG nor a JPEG")
    try:
        with PillowImage.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
            _check_size(*picture.size, max_pixels)
            if picture.mode == "CMYK":
                raise ImageError("CMYK images are not accepted; send grey or RGB")
            picture.load()
            # Pillow and OpenCV disagree about rotation by EXIF; a wrong guess would swap left and right.
            if picture.getexif().get(_ORIENTATION, 1) != 1:
                raise ImageError("images with an EXIF orientation are not accepted; rotate the pixels instead")
            grey = _to_grey(picture)
    except (ImageError, ImageTooLargeError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files (Pillow#9814)
        raise ImageError("img can't be decoded; the file is damaged") from error
    return np.repeat(grey[:, :, None], 3, axis=2)


def _to_grey(picture: PillowImage.Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if picture.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip instead of scale
        return (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
    return np.asarray(picture.convert("RGB").convert("L"))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError("img has a side of 0 pixels")
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(
            f"img is larger than {max_pixels} pixels or a side of it than {MAX_SIDE}; send a smaller one"
        )


def _check_png(data: bytes, max_pixels: int) -> int:
    """Check size, chunk lengths, checksums and the end; decoders forgive damage that shifts or blanks pixels.

    Returns:
        Where the PNG ends; what follows is not part of it.
    """
    place, first = len(PNG_SIGNATURE), True
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            break
        if first and (kind != b"IHDR" or length != 13):
            raise ImageError("the PNG does not begin with its header")
        if first:
            _check_size(*struct.unpack_from(">II", data, place + 8), max_pixels)
            first = False
        if zlib.crc32(data[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ImageError("the PNG is damaged: a checksum is wrong")
        if kind == b"IEND":
            return end
        place = end
    raise ImageError("the PNG is cut off")
