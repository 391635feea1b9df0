"""One DICOM file from disk."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread

from mipseg.errors import VolumeError

_META_BYTES = 1024  # in which a file names its transfer syntax
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def read_dicom(file: Path, *, only: Sequence[str] | None = None) -> Dataset:
    """Read a file, with or without a preamble.

    Args:
        file: of any kind.
        only: keywords of the elements that are wanted, without pixels; None: everything.

    Raises:
        VolumeError: its content is deflated, which pydicom unpacks whole: a small file could fill the memory.
        Exception: nearly anything, from pydicom, where the file is damaged.
    """
    with file.open("rb") as stream:
        if _DEFLATED in stream.read(_META_BYTES):
            raise VolumeError(f"{file.name} is deflated DICOM, which is not read; convert it to explicit VR first")
        stream.seek(0)
        if only is None:
            return dcmread(stream, force=True)
        return dcmread(stream, force=True, stop_before_pixels=True, specific_tags=list(only))
