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
MAX_SIDE = 10_000  # an image of one row is padded to 32, so a side must be bounded as well
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

_DATA_URL = re.compile(r"data:image/(png|jpeg|jpg);base64,", re.IGNORECASE)
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\v\f"
_ORIENTATION = 0x0112  # EXIF tag
_MAX_SCANS = 100  # of a progressive JPEG; each costs as much time as a whole image, and encoders write about 10
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour type
# A PNG's interlacing: first column and row, steps between columns and rows.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


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
    try:
        plain = text.encode("ascii").translate(_FROM_URL_SAFE, _BLANKS).rstrip(b"=")
        data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
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
    elif data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(f"the JPEG has more than {_MAX_SCANS} scans; send it with fewer or as PNG")
    try:
        with PillowImage.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            _check_size(*image.size, max_pixels)
            if image.mode == "CMYK":
                raise ImageError("CMYK images are not accepted; send grey or RGB")
            image.load()
            # Pillow and OpenCV disagree about rotation by EXIF; a wrong guess would swap left and right.
            if image.getexif().get(_ORIENTATION, 1) != 1:
                raise ImageError("images with an EXIF orientation are not accepted; rotate the pixels instead")
            grey = _to_grey(image)
    except (ImageError, ImageTooLargeError):
        raise
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning):
        raise _too_large(max_pixels) from None
    except Exception as error:  # decoders raise nearly anything on damaged files (Pillow#9814)
        raise ImageError("img can't be decoded; the file is damaged") from error
    return np.repeat(grey[:, :, None], 3, axis=2)


def _to_grey(image: PillowImage.Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip instead of scale
        return (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
    # By way of RGBA: a palette with transparency can't be turned to RGB without a warning.
    return np.asarray(image.convert("RGBA").convert("L"))


def _too_large(max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"img is larger than {max_pixels} pixels or a side of it than {MAX_SIDE}; send a smaller one"
    )


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError("img has a side of 0 pixels")
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise _too_large(max_pixels)


def _check_png(data: bytes, max_pixels: int) -> int:
    """Check size, chunks, checksums, the amount of pixels and the end; decoders forgive damage that blanks pixels.

    Returns:
        Where the PNG ends; what follows is not part of it.
    """
    place, header, pixels = len(PNG_SIGNATURE), b"", []
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        kind, end = data[place + 4 : place + 8], place + 12 + length
        if end > len(data):
            break
        if bool(header) == (kind == b"IHDR"):
            raise ImageError("the PNG does not begin with its header, or has two of them")
        content = data[place + 8 : end - 4]
        if zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end]):
            raise ImageError("the PNG is damaged: a checksum is wrong")
        if kind == b"IHDR":
            if length != 13:
                raise ImageError("the PNG's header does not have 13 bytes")
            header = content
            _check_size(int.from_bytes(header[:4]), int.from_bytes(header[4:8]), max_pixels)
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"IEND":
            _check_pixels(header, b"".join(pixels))
            return end
        place = end
    raise ImageError("the PNG is cut off")


def _check_pixels(header: bytes, packed: bytes) -> None:
    """Check that the packed pixels are all there; Pillow would leave missing ones black, which is hot."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    wanted = 0
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0:
            wanted += rows * (1 + -(-columns * depth * _CHANNELS.get(colour, 4) // 8))
    unpacker = zlib.decompressobj()
    try:
        found = len(unpacker.decompress(packed, wanted + 1))
    except zlib.error:
        raise ImageError("the PNG is damaged: its pixels can't be unpacked") from None
    if found < wanted or (found == wanted and not unpacker.eof):
        raise ImageError("the PNG is damaged: pixels are missing")
