"""Files out: images, volumes, JSON and CSV, written beside their place and renamed, so that none is ever half there."""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.errors import InputError
from mipseg.io.volume import Source, farthest_corner, spacing_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet's formula may begin with
_RAS_OF_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@contextmanager
def replaced_files(folder: Path, known: Sequence[str], last: str) -> Iterator[Path]:
    """Write a set of files that take their places together.

    They are written into a hidden folder beside `folder` and moved when all are there. `last`, whose presence says that
    the set is complete, is taken away first and moved last. Files with other names are left alone, and so is a folder
    with files of these names that no earlier set brought there. The hidden folder of an earlier try is taken away: a
    process that was given up for dead and still lives can't move anything any more.

    Args:
        folder: where they go; made if it is missing.
        known: names of all files that such a set may hold; those of an earlier set that are not written again go.
        last: the one of them that is moved last.

    Yields:
        The hidden folder.

    Raises:
        InputError: there are files of these names without `last`, and no earlier try that ended while it moved them.
        OSError: there is no room, no right to write, ...
    """
    tries = folder.with_name(f".{folder.name}.partial")
    there = {name for name in known if (folder / name).exists()}
    if there and last not in there and not tries.exists():
        raise InputError(
            f"{folder} holds {min(there)} but no {last}, so it is not of an earlier run; choose another output folder"
        )
    shutil.rmtree(tries, ignore_errors=True)
    tries.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(dir=tries))
    try:
        yield partial
        folder.mkdir(exist_ok=True)
        written = sorted(file.name for file in partial.iterdir())
        (folder / last).unlink(missing_ok=True)
        for name in set(known) - set(written):
            (folder / name).unlink(missing_ok=True)
        for name in sorted(written, key=lambda name: name == last):
            os.replace(partial / name, folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # a later try is in it
            tries.rmdir()


def write_text(file: Path, content: str) -> None:
    """Write a text file beside its place and rename it.

    Raises:
        OSError: there is no room, no right to write, ...
    """
    write_bytes(file, content.encode("utf-8"))


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file beside its place and rename it.

    Raises:
        OSError: there is no room, no right to write, ...
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_json(file: Path, content: Any) -> None:
    """Write JSON; numbers that are not finite have no place in it.

    Raises:
        OSError: there is no room, no right to write, ...
        ValueError: a number is NaN or infinite.
    """
    write_text(file, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write a table; None becomes an empty cell, and no text a spreadsheet's formula.

    Raises:
        OSError: there is no room, no right to write, ...
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns, lineterminator="\n")
            table.writeheader()
            table.writerows({column: csv_cell(cell) for column, cell in row.items()} for row in rows)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def csv_cell(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: a text that begins as formulas do gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def write_png(file: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG."""
    PillowImage.fromarray(np.ascontiguousarray(image)).save(file, "PNG")


def write_nifti(file: Path, array: npt.NDArray[Any], source: Source) -> None:
    """Write an array of a volume's grid as NIfTI on the input's own grid; the same array gives the same bytes.

    Slices of a DICOM series that lie unevenly, which NIfTI can't say, stay on the even grid they were resampled to.

    Args:
        file: `.nii.gz`.
        array: (Z, Y, X), such as a mask.
        source: the volume's.
    """
    import nibabel as nib  # noqa: PLC0415 # an extra

    from mipseg.io.nifti import MAX_DISAGREEMENT  # noqa: PLC0415 # needs it, too

    own, affine = source.to_own_axes(array), source.affine
    if source.kind != "nifti":  # (slice, row, column) or (k, j, i)
        own, affine = np.transpose(own), affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(own, None)
    for set_form in (image.set_sform, image.set_qform):
        set_form(_RAS_OF_LPS @ affine, code="scanner")
    if farthest_corner(image.get_sform(), image.get_qform(), own.shape) > MAX_DISAGREEMENT * min(spacing_of(affine)):
        image.set_qform(None)  # it can't hold a shear
    image.header.set_xyzt_units("mm")
    nib.save(image, file)
