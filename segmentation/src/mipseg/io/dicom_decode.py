"""Pixels of DICOM files; those of JPEG in a process of their own.

GDCM aborts the process it runs in on some damaged images. pydicom decodes plain and run-length pixels by itself.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from mipseg.errors import VolumeError

Stored: TypeAlias = npt.NDArray[Any]

DECODE_S = 60.0  # for one slice, which takes milliseconds
MAX_MEMORY = 4 * 2**30  # of the process that decodes
_LENGTH_BYTES = 8


class Decoder:
    """Decodes slices; a context manager that ends its process, if it needed one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 # closed in __exit__

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.communicate()
        self._complaints.close()

    def decode(self, header: Dataset, file: Path) -> Stored:
        """The stored values of a slice.

        Args:
            header: with its pixels.
            file: that it was read from.

        Returns:
            (row, column) of integers.

        Raises:
            VolumeError: the pixels are missing, cut off or damaged.
        """
        _name_encoding(header)
        syntax = UID(header.file_meta.TransferSyntaxUID)
        try:
            if syntax.is_compressed and syntax != RLELossless:
                return self._decode_apart(file)
            return pixel_array(header)
        except Exception as error:  # decoders raise nearly anything on damaged pixels
            raise VolumeError(f"the pixels of {file.name} can't be decoded; the file is cut off or damaged") from error

    def _decode_apart(self, file: Path) -> Stored:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mipseg.io.dicom_decode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise OSError("the decoder has no pipes")
        watchdog = threading.Timer(DECODE_S, self._process.kill)
        watchdog.start()
        try:
            stdin.write(str(file.resolve()).encode() + b"\0")
            stdin.flush()
            length = int.from_bytes(stdout.read(_LENGTH_BYTES))
            decoded: Stored = np.load(io.BytesIO(stdout.read(length)), allow_pickle=False)
        finally:
            watchdog.cancel()
        # Its JPEG library goes on after damage, with wrong pixels, and only says so.
        self._complaints.seek(0)
        if b"Corrupt JPEG data" in self._complaints.read():
            raise OSError("the JPEG data is corrupt")
        return decoded


def _name_encoding(header: Dataset) -> None:
    """Name the encoding of a file from before DICOM files had a preamble, as it was found out."""
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        header.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 # is not there on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main() -> None:
    """Write the pixels of each file named on stdin to stdout, as length and .npy; end at the first that is damaged."""
    _limit_memory()
    warnings.simplefilter("ignore")
    name = b""
    while byte := sys.stdin.buffer.read(1):
        if byte != b"\0":
            name += byte
            continue
        written = io.BytesIO()
        np.save(written, pixel_array(dcmread(Path(name.decode()), force=True)), allow_pickle=False)
        sys.stdout.buffer.write(len(written.getvalue()).to_bytes(_LENGTH_BYTES) + written.getvalue())
        sys.stdout.buffer.flush()
        name = b""


if __name__ == "__main__":
    main()
