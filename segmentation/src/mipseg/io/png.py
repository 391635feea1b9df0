"""Whether a PNG file is whole, checked before a pixel is decoded; decoders forgive damage that blanks pixels."""

import struct
import zlib
from dataclasses import dataclass

from mipseg.errors import ImageError
from mipseg.io.sizes import check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3  # the colour type
_CHANNELS = {0: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}  # of each colour type
# A PNG's interlacing: first column and row, steps between columns and rows.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class PngInfo:
    """What a PNG's chunks say.

    Attributes:
        end: where the file ends; what follows is not part of it.
        depth: bits per sample.
        colour: the colour type.
        significant: bits per sample that the original had (`sBIT`), if that is said.
        entries: colours of the palette.
    """

    end: int
    depth: int
    colour: int
    significant: int | None
    entries: int


def check_png(data: bytes, max_pixels: int) -> PngInfo:
    """Check size, chunks, checksums, the palette, the amount of pixels and the end.

    Args:
        data: a file that begins with the signature.
        max_pixels: largest number of pixels.

    Raises:
        ImageError: the file is damaged.
        ImageTooLargeError: it is larger.
    """
    place, header, pixels = len(SIGNATURE), b"", []
    significant, entries = None, 0
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
            check_size(int.from_bytes(header[:4]), int.from_bytes(header[4:8]), max_pixels)
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"PLTE" and not pixels:
            entries = length // 3
        elif kind == b"sBIT" and content:
            significant = content[0]
        elif kind == b"IEND":
            _check_pixels(header, b"".join(pixels))
            if header[9] == PALETTE and not entries:
                raise ImageError("the PNG is damaged: its palette has no colours")
            return PngInfo(end, header[8], header[9], significant, entries)
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
