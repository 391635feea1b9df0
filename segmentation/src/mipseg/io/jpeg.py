"""Whether a JPEG file is whole: decoders fill what is missing with grey, and skip what does not belong there."""

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.errors import ImageError

SIGNATURE = b"\xff\xd8\xff"
MAX_SCANS = 100  # of a progressive JPEG; each costs as much time as a whole image, and encoders write about 10
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_TABLES, _QUANTISATION = 0xC4, 0xDB
_SEQUENTIAL = 0xC0, 0xC1
_RESTARTS = range(0xD0, 0xD8)
_TAIL = 64  # bytes of packed pixels that can't be spare
_FILLING = bytes(range(1, 255)) * 8  # packed pixels that follow nothing


def check_jpeg(data: bytes) -> bytes:
    """Check the structure of a JPEG file.

    Args:
        data: a file that begins with the signature.

    Returns:
        The file without what follows its end.

    Raises:
        ImageError: it is damaged, or would take too long.
    """
    markers = list(_markers(data))
    if sum(marker == _SCAN for marker, _ in markers) > MAX_SCANS:
        raise ImageError(f"the JPEG has more than {MAX_SCANS} scans; send it with fewer or as PNG")
    return data[: markers[-1][1] + 2]


def check_pixels(data: bytes, pixels: PillowImage.Image) -> None:
    """Check that the packed pixels of a file from `check_jpeg` are neither too few nor too many.

    A decoder that reaches the end early leaves grey; whatever follows would be shown instead. One that does not need
    the last bytes went astray before.

    Args:
        data: the file.
        pixels: what was decoded.

    Raises:
        ImageError: pixels are missing, or some were damaged.
    """
    shown, packed = np.asarray(pixels), data[:-2].rstrip(b"\xff")  # 0xFF would make a marker of what follows
    if not np.array_equal(_decoded(packed + _FILLING + data[-2:]), shown):
        raise ImageError("the JPEG is damaged: pixels are missing")
    markers = dict(_markers(data))
    scan = data.rindex(b"\xff\xda")
    spare = len(packed) - scan > 8 * _TAIL and not markers.keys().isdisjoint(_SEQUENTIAL)
    if spare and np.array_equal(_decoded(packed[:-_TAIL] + data[-2:]), shown):
        raise ImageError("the JPEG is damaged: it has more data than pixels")


def _decoded(data: bytes) -> npt.NDArray[np.uint8]:
    with PillowImage.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.load()
        return np.asarray(image)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker up to the end and where it stands, if all that lies between belongs there."""
    place = 2
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            raise ImageError("the JPEG is damaged: bytes lie between its parts")
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        yield marker, place
        if marker == _END:
            return
        length = int.from_bytes(data[place + 2 : place + 4])
        content = data[place + 4 : place + 2 + length]
        if length < 2 or len(content) != length - 2 or not _is_sound(marker, content):
            raise ImageError("the JPEG is damaged: one of its parts has a wrong length")
        place += 2 + length
        if marker == _SCAN:
            place = _end_of_scan(data, place)
    raise ImageError("the JPEG is cut off")


def _is_sound(marker: int, content: bytes) -> bool:
    """Whether tables fill their part exactly."""
    place = 0
    if marker == _TABLES:
        while place < len(content):
            place += 17 + sum(content[place + 1 : place + 17])
    elif marker == _QUANTISATION:
        while place < len(content):
            place += 129 if content[place] >> 4 else 65
    else:
        return True
    return place == len(content)


def _end_of_scan(data: bytes, place: int) -> int:
    """Where the next marker stands; inside packed pixels 0xFF is followed by 0 or a restart's number."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        following = data[place + 1]
        if following == 0xFF:
            place += 1
        elif following == 0 or following in _RESTARTS:
            place += 2
        else:
            return place
    raise ImageError("the JPEG is cut off")
