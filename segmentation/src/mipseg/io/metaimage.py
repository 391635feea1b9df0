"""MetaImage files (.mha), by the format's description: https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mipseg.errors import VolumeError
from mipseg.io.attached import Header, detached, no_orientation, numbers_of, read_grid, read_lines, sizes_of, unsound
from mipseg.io.volume import Grid

_LAST = "ElementDataFile"
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
# Names that mean the same.
_MATRIX = "TransformMatrix", "Rotation", "Orientation"
_ORIGIN = "Offset", "Position", "Origin"
_BIG_ENDIAN = "BinaryDataByteOrderMSB", "ElementByteOrderMSB"


def read_metaimage(file: Path) -> Grid:
    """Read an .mha file.

    Returns:
        (k, j, i) float32, the reverse of the file's own order of axes.

    Raises:
        VolumeError: damaged, too large, not 3-D, voxels that are no finite numbers, no orientation, or a header whose
            voxels lie in another file.
    """
    with file.open("rb") as stream:
        fields = _fields(read_lines(stream, file.name), file.name)
        return read_grid(stream, _header(fields, file.name), file.name)


def _fields(lines: Iterable[str], name: str) -> dict[str, str]:
    """`Key = value` of each line, until the one behind which the voxels begin."""
    fields: dict[str, str] = {}
    for line in lines:
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or key in fields:
            raise unsound(name, f"its header has the line {line[:80]!r}")
        fields[key] = value
        if key == _LAST:
            break
    if missing := [key for key in ("NDims", "DimSize", "ElementSpacing", "ElementType", _LAST) if key not in fields]:
        raise unsound(name, f"its header has no {missing[0]}")
    if fields[_LAST] != "LOCAL":
        raise detached(name)
    return fields


def _header(fields: dict[str, str], name: str) -> Header:
    channels = fields.get("ElementNumberOfChannels", "1")
    if channels != "1":
        raise VolumeError(f"{name} holds {channels[:20]} numbers a voxel; one is needed")
    if not _flag(fields, ("BinaryData",), name) or fields.get("HeaderSize", "0") != "0":
        raise unsound(name, "voxels are read in binary form, right behind the header")
    if fields["ElementType"] not in _TYPES:
        raise unsound(name, f"its ElementType is {fields['ElementType'][:80]!r}; one of {', '.join(_TYPES)} is needed")
    (dimensions,) = sizes_of(fields["NDims"], 1, "NDims", name)
    sizes = sizes_of(fields["DimSize"], dimensions, "DimSize", name)
    if dimensions != 3:
        return Header(sizes, np.dtype("u1"), compressed=False, directions_mm=np.eye(3), origin_mm=np.zeros(3))
    matrix = next((fields[key] for key in _MATRIX if key in fields), None)
    if matrix is None:
        raise no_orientation(name)
    origin = next((fields[key] for key in _ORIGIN if key in fields), "0 0 0")
    spacing = numbers_of(fields["ElementSpacing"], 3, "ElementSpacing", name)
    if not (spacing > 0).all():
        raise unsound(name, f"its ElementSpacing is {fields['ElementSpacing'][:80]!r}")
    order = ">" if _flag(fields, _BIG_ENDIAN, name) else "<"
    return Header(
        sizes,
        np.dtype(order + _TYPES[fields["ElementType"]]),
        compressed=_flag(fields, ("CompressedData",), name),
        directions_mm=numbers_of(matrix, 9, "TransformMatrix", name).reshape(3, 3) * spacing[:, None],
        origin_mm=numbers_of(origin, 3, "Offset", name),
    )


def _flag(fields: dict[str, str], names: tuple[str, ...], name: str) -> bool:
    value = next((fields[key] for key in names if key in fields), "False")
    if value not in ("True", "False"):
        raise unsound(name, f"its {names[0]} is {value[:80]!r}; True or False is needed")
    return value == "True"
