"""MetaImage files (.mha), by the format's description: https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from collections.abc import Iterable

import numpy as np

from mipseg.errors import VolumeError
from mipseg.io.attached import Header, detached, no_orientation, numbers_of, odd_line, require, sizes_of, unsound

_LAST = "ElementDataFile"
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_NOT_PET = "MET_MOD_CT", "MET_MOD_MR", "MET_MOD_US"  # PET has no word of its own
# Names that mean the same.
_MATRIX = "TransformMatrix", "Rotation", "Orientation"
_ORIGIN = "Offset", "Position", "Origin"
_BIG_ENDIAN = "BinaryDataByteOrderMSB", "ElementByteOrderMSB"


def _fields(lines: Iterable[str], name: str) -> dict[str, str]:
    """`Key = value` of each line, until the one behind which the voxels begin."""
    fields: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or key in fields:
            raise odd_line(number, name)
        fields[key] = value
        if key == _LAST:
            break
    require(fields, ("NDims", "DimSize", "ElementSpacing", "ElementType", _LAST), name)
    if fields[_LAST] != "LOCAL":
        raise detached(name)
    return fields


def read_metaimage_header(lines: Iterable[str], name: str) -> Header:
    """Read an .mha file's header; see `mipseg.io.attached.read_attached`, whose errors it raises."""
    fields = _fields(lines, name)
    if (modality := fields.get("Modality")) in _NOT_PET:
        raise VolumeError(f"{name} is not PET; its Modality is {modality}")
    channels = fields.get("ElementNumberOfChannels", "1")
    if channels != "1":
        raise VolumeError(f"{name} holds several numbers a voxel; one is needed")
    if not _flag(fields, ("BinaryData",), name) or fields.get("HeaderSize", "0") != "0":
        raise unsound(name, "voxels are read in binary form, right behind the header")
    if fields["ElementType"] not in _TYPES:
        raise unsound(name, f"its ElementType is not one of {', '.join(_TYPES)}")
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
        raise unsound(name, "its ElementSpacing is not above 0")
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
        raise unsound(name, f"its {names[0]} is neither True nor False")
    return value == "True"
