"""NRRD files (.nrrd), by the format's definition: https://teem.sourceforge.net/nrrd/format.html."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mipseg.errors import VolumeError
from mipseg.io.attached import Header, detached, no_orientation, numbers_of, odd_line, require, sizes_of, unsound

_NAMES_OF_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPES = {alias: kind for kind, names in _NAMES_OF_TYPES.items() for alias in names.split(", ")}
_PACKED = {"raw": False, "gzip": True, "gz": True}
_ORDERS = {"little": "<", "big": ">"}
# What turns each space's axes to left, posterior, superior.
_SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_ELSEWHERE = "data file", "datafile"
_SKIPS = "line skip", "lineskip", "byte skip", "byteskip"


def _fields(lines: Iterable[str], name: str) -> dict[str, str]:
    """`field: value` of each line, until an empty one; not comments and `key:=value`, which mean nothing to readers."""
    fields: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            break
        if number == 1 or line.startswith("#"):
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if colon and value.startswith("="):
            continue
        if not colon or key.lower() in fields:
            raise odd_line(number, name)
        fields[key.lower()] = value
    if any(key in fields for key in _ELSEWHERE):
        raise detached(name)
    require(fields, ("type", "dimension", "sizes", "encoding"), name)
    return fields


def read_nrrd_header(lines: Iterable[str], name: str) -> Header:
    """Read a .nrrd file's header; see `mipseg.io.attached.read_attached`, whose errors it raises."""
    fields = _fields(lines, name)
    kind, encoding = fields["type"].lower(), fields["encoding"].lower()
    if kind not in _TYPES:
        raise unsound(name, "its type is not that of a number")
    if encoding not in _PACKED:
        raise unsound(name, "its encoding is neither raw nor gzip")
    if any(fields.get(key, "0") != "0" for key in _SKIPS):
        raise unsound(name, "voxels are read right behind the header")
    order = fields.get("endian", "little" if _TYPES[kind].endswith("1") else "")
    if order not in _ORDERS:
        raise unsound(name, "its endian is neither little nor big")
    (dimensions,) = sizes_of(fields["dimension"], 1, "dimension", name)
    sizes = sizes_of(fields["sizes"], dimensions, "sizes", name)
    directions, origin = (np.eye(3), np.zeros(3)) if dimensions != 3 else _place(fields, name)
    return Header(sizes, np.dtype(_ORDERS[order] + _TYPES[kind]), _PACKED[encoding], directions, origin)


def _place(fields: dict[str, str], name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Directions and origin in LPS mm; see `Header`."""
    to_lps = _SPACES.get(fields.get("space", "").lower())
    if to_lps is None or "space directions" not in fields:
        raise no_orientation(name)
    if any(unit != "mm" for unit in fields.get("space units", "").replace('"', " ").split()):
        raise VolumeError(f"{name} has space units other than mm")
    directions = numbers_of(_plain(fields["space directions"]), 9, "space directions", name).reshape(3, 3)
    origin = numbers_of(_plain(fields.get("space origin", "(0,0,0)")), 3, "space origin", name)
    return directions * to_lps, origin * to_lps


def _plain(vectors: str) -> str:
    """`(1,2,3) (4,5,6)` as numbers with spaces between."""
    return vectors.translate(str.maketrans("(),", "   "))
