"""One DICOM file from disk, and one value of it: whatever pydicom raises on damage is one error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from mipseg.errors import VolumeError

_META_BYTES = 1024  # in which a file names its transfer syntax
_DEFLATED = b"1.2.840.10008.1.2.1.99"


class DamagedError(VolumeError):
    """What pydicom can't make sense of."""


@contextmanager
def _damage_in(what: str) -> Iterator[None]:
    try:
        yield
    except VolumeError:
        raise
    except Exception as error:  # pydicom raises nearly anything on damaged files and broken values
        raise DamagedError(f"{what} can't be read; the file is damaged") from error


def read_dicom(file: Path, *, only: Sequence[str] | None = None) -> Dataset:
    """Read a file, with or without a preamble.

    Args:
        file: of any kind.
        only: keywords of the elements that are wanted, without pixels; None: everything.

    Raises:
        VolumeError: its content is deflated, which pydicom unpacks whole: a small file could fill the memory.
        DamagedError: it can't be read.
    """
    with _damage_in(file.name), file.open("rb") as stream:
        if _DEFLATED in stream.read(_META_BYTES):
            raise VolumeError(f"{file.name} is deflated DICOM, which is not read; convert it to explicit VR first")
        stream.seek(0)
        if only is None:
            return dcmread(stream, force=True)
        return dcmread(stream, force=True, stop_before_pixels=True, specific_tags=list(only))


def value(header: Dataset, keyword: str) -> Any:
    """An attribute's value; None where it is missing, empty or broken."""
    try:
        with _damage_in(keyword):
            found = header.get(keyword)
    except DamagedError:
        return None
    return None if found is None or found == "" else found
