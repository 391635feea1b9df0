"""Which files of a folder are images, told by their content; names and extensions mean nothing."""

import gzip
import os
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Literal, TypeAlias

from mipseg.errors import VolumeError

FileKind: TypeAlias = Literal["dicom", "nifti", "mha", "nrrd", "zip", "image"]

_HEAD_BYTES = 540  # of a NIfTI-2 header; a DICOM file has its mark at 128
_PAIR_SIZES = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))  # of the header of NIfTI and Analyze pairs
GZIP_MAGIC = b"\x1f\x8b"
_BEGINNINGS: dict[FileKind, tuple[bytes, ...]] = {
    # Without the mark: DICOM files of old begin with their first element, one of the first of group 0002 or 0008.
    "dicom": tuple(bytes((group, 0, element, 0)) for group in (2, 8) for element in range(0x19)),
    "mha": (b"ObjectType", b"NDims", b"Comment ="),
    "nrrd": (b"NRRD000",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"),
}


def file_kind(file: Path) -> FileKind | None:
    """What a file is by its first bytes.

    Returns:
        None: none of what is read here.

    Raises:
        OSError: it can't be opened.
        VolumeError: it is half of a pair of files.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith(GZIP_MAGIC):
        try:
            with gzip.open(file) as stream:
                head = stream.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error):
            return None
        return "nifti" if _is_nifti(head) else None
    if _is_nifti(head):
        return "nifti"
    if head[:4] in _PAIR_SIZES and (head[344:348] == b"ni1\0" or len(head) == 348):
        raise VolumeError(f"{file.name} is the header of a pair of files (.hdr, .img); write both into one .nii")
    if head[128:132] == b"DICM":
        return "dicom"
    return next((kind for kind, beginnings in _BEGINNINGS.items() if head.startswith(beginnings)), None)


def files_by_kind(folder: Path) -> dict[FileKind, list[Path]]:
    """All images below a folder, sorted by path; see `list_files`.

    Raises:
        VolumeError: one of the files or folders can't be read.
    """
    found, unreadable = list_files(folder)
    for reason in unreadable.values():
        raise VolumeError(reason)
    return found


def list_files(folder: Path) -> tuple[dict[FileKind, list[Path]], dict[Path, str]]:
    """All images below a folder, sorted by path; links to folders are not followed, so no loop can trap the search.

    Returns:
        The files by kind, and why others, or whole folders, can't be read.
    """
    unreadable: dict[Path, str] = {}

    def note(error: OSError) -> None:
        unreadable[Path(error.filename)] = f"can't list {error.filename}: {error.strerror}"

    found: dict[FileKind, list[Path]] = defaultdict(list)
    for root, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        for name in sorted(names):
            file = Path(root) / name
            try:
                kind = file_kind(file) if file.is_file() else None
            except OSError as error:
                unreadable[file] = f"can't read {file}: {error.strerror}"
                continue
            except VolumeError as error:
                unreadable[file] = str(error)
                continue
            if kind is not None:
                found[kind].append(file)
    return found, unreadable


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"
