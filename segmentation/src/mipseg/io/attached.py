"""Volumes whose file is a text header with the voxels behind it: what MetaImage and NRRD share.

The header is a stranger's, and may tell who the patient is: no error repeats what it says. Both formats can name other
files to read from, so the one reader that decides that it does not must also be the one that reads the voxels: here
nothing but the file itself is ever opened.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from mipseg.errors import VolumeError
from mipseg.io.volume import Grid, check_affine, check_finite, check_size

MAX_HEADER_BYTES = 1 << 16
_ANY_ZLIB = 47  # `wbits`: a zlib or a gzip stream, which tells by itself
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Header:
    """What a header says.

    Attributes:
        sizes: voxels along each of the file's own axes, the fastest first.
        dtype: of the stored voxels, with their byte order.
        compressed: whether the voxels are a zlib or gzip stream.
        directions_mm: a row for each axis: (x, y, z) in LPS mm to the next voxel.
        origin_mm: (3,) LPS mm of the first voxel's centre.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype[np.generic]
    compressed: bool
    directions_mm: npt.NDArray[np.float64]
    origin_mm: npt.NDArray[np.float64]


HeaderReader: TypeAlias = Callable[[Iterable[str], str], Header]
"""Reads a format's header from its lines; takes no line behind the last, and names the file in its errors."""


def read_attached(file: Path, read_header: HeaderReader) -> Grid:
    """Read a file.

    Args:
        file: header and voxels.
        read_header: of its format.

    Returns:
        (k, j, i) float32, the reverse of the file's own order of axes.

    Raises:
        VolumeError: damaged, too large, not 3-D, voxels that are no finite numbers, no orientation, or a header whose
            voxels lie in another file.
    """
    with file.open("rb") as stream:
        header = read_header(_lines(stream, file.name), file.name)
        return _read_voxels(stream, header, file.name)


def _lines(stream: BinaryIO, name: str) -> Iterable[str]:
    """The lines of a header, one after the other; refuses one that does not end within 64 KiB, or is not text."""
    left = MAX_HEADER_BYTES
    while line := stream.readline(left):
        left -= len(line)
        if not line.endswith(b"\n"):
            break
        try:
            yield line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise unsound(name, "its header is not text") from error
    raise unsound(name, f"its header has no end within {MAX_HEADER_BYTES >> 10} KiB")


def _read_voxels(stream: BinaryIO, header: Header, name: str) -> Grid:
    check_size(tuple(reversed(header.sizes)), name)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = header.directions_mm[::-1].T, header.origin_mm
    check_affine(affine, name)
    size = math.prod(header.sizes) * header.dtype.itemsize
    content = _inflate(stream, size, name) if header.compressed else stream.read(size)
    if len(content) < size:
        raise unsound(name, "it is cut off")
    if stream.read(1):
        raise unsound(name, "more bytes follow than its header's voxels have")
    array = np.frombuffer(content, header.dtype).reshape(header.sizes[::-1]).astype(np.float32)
    check_finite(array, name)
    return Grid(array, affine)


def _inflate(stream: BinaryIO, size: int, name: str) -> bytearray:
    """Unpack at most `size` bytes, so that a small file can't fill the memory."""
    unpack, content = zlib.decompressobj(_ANY_ZLIB), bytearray()
    try:
        while len(content) < size and not unpack.eof and (chunk := unpack.unconsumed_tail or stream.read(_CHUNK_BYTES)):
            content += unpack.decompress(chunk, size - len(content))
        if not unpack.eof:  # the end of the stream, with its checksum
            unpack.decompress(unpack.unconsumed_tail + stream.read(_CHUNK_BYTES), 1)
    except zlib.error as error:
        raise unsound(name, "its voxels can't be unpacked") from error
    if len(content) == size and not unpack.eof:
        raise unsound(name, "its voxels are cut off, or more than its header says")
    return content


def require(fields: Mapping[str, str], wanted: Sequence[str], name: str) -> None:
    """Refuse a header that lacks a field.

    Raises:
        VolumeError: names the first that is missing.
    """
    if missing := [key for key in wanted if key not in fields]:
        raise unsound(name, f"its header has no {missing[0]}")


def numbers_of(text: str, count: int, what: str, name: str) -> npt.NDArray[np.float64]:
    """Read some numbers that stand in a line.

    Raises:
        VolumeError: other than `count` numbers.
    """
    try:
        values = np.array(text.split(), np.float64)
    except ValueError as error:
        raise unsound(name, f"its {what} holds what is not a number") from error
    if len(values) != count:
        raise unsound(name, f"its {what} has {len(values)} numbers where {count} are needed")
    return values


def sizes_of(text: str, count: int, what: str, name: str) -> tuple[int, ...]:
    """Read the sides of an array.

    Raises:
        VolumeError: other than `count` whole numbers.
    """
    values = numbers_of(text, count, what, name)
    if not (np.isfinite(values).all() and (values == np.rint(values)).all() and (values >= 0).all()):
        raise unsound(name, f"its {what} is not of whole numbers from 0 on")
    return tuple(int(value) for value in values)


def odd_line(number: int, name: str) -> VolumeError:
    """The error of a header with a line that says nothing, or something again."""
    return unsound(name, f"line {number} of its header says nothing, or something again")


def unsound(name: str, why: str) -> VolumeError:
    """The error of a file that is damaged, or says what can't be."""
    return VolumeError(f"{name} is not a sound image file; {why}")


def detached(name: str) -> VolumeError:
    """The error of a header whose voxels lie in another file."""
    return VolumeError(f"the voxels of {name} lie in another file; write header and voxels into one (.mha, .nrrd)")


def no_orientation(name: str) -> VolumeError:
    """The error of a header that leaves the orientation open."""
    return VolumeError(f"{name} has no orientation; left and right are unknown")
