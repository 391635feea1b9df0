"""A PET series as DICOM files: slices in order, each with its own slope, on an even grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from mipseg.errors import VolumeError
from mipseg.io.dicom_decode import Decoder
from mipseg.io.dicom_file import read_dicom, value
from mipseg.io.dicom_headers import number, numbers, refusal, text
from mipseg.io.dicom_select import Entry, Series
from mipseg.io.volume import MIN_SLICES, Affine, check_affine, check_finite, check_size

SAME_PLACE_MM = 0.01
GAP = 1.8  # distance between slices, in usual ones, that means a missing slice
UNEVEN = 0.05  # how far slices may lie from an even grid, in distances, before they are resampled
_MAX_SHIFT = 0.5  # sideways between slices, in pixels
_PRIVATE = "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"  # tell who the patient is; no error says them
_FLOATS = "FloatPixelData", "DoubleFloatPixelData"
_ALIKE = (*_PRIVATE, "Rows", "Columns", "Units", "DecayCorrection")


@dataclass(frozen=True, eq=False)
class Stack:
    """A series as one array.

    Attributes:
        array: (slice, row, column) float32: stored values with each slice's slope and intercept applied.
        affine: (4, 4); maps an index to LPS mm: of the array, or of the even grid to which uneven slices are moved.
        positions_mm: of each slice along the normal, ascending.
        headers: of each slice, without its pixels.
        slopes: of each slice.
        warnings: `code: sentence` each.
    """

    array: npt.NDArray[np.float32]
    affine: Affine
    positions_mm: npt.NDArray[np.float64]
    headers: tuple[Dataset, ...]
    slopes: tuple[float, ...]
    warnings: tuple[str, ...]


def read_stack(series: Series, damaged: Sequence[Path] = ()) -> Stack:
    """Read a series.

    Args:
        series: of single-frame PET files.
        damaged: files beside it that could not be read; named where slices are missing.

    Raises:
        VolumeError: no static PET, slices of different kinds or places, missing slices, cut files, ...
    """
    if reason := refusal(series.headers):
        raise VolumeError(f"series {series.uid} can't be read: {reason}")
    _check_alike(series)
    entries, positions, warnings = _in_order(series)
    if damaged:
        warnings.append(f"damaged: {_unreadable(damaged)}")
    affine = _affine(entries, positions, damaged)
    check_affine(affine, f"series {series.uid}")
    rows, columns = (int(number(entries[0].header, side) or 0) for side in ("Rows", "Columns"))
    check_size((len(entries), rows, columns), f"series {series.uid}")
    array = np.empty((len(entries), rows, columns), np.float32)
    headers, slopes = [], []
    with Decoder() as decoder:
        for index, entry in enumerate(entries):
            header, slope = _read_slice(entry.file, array[index], decoder)
            headers.append(header)
            slopes.append(slope)
    check_finite(array, f"series {series.uid}")
    warnings += _fewer_slices(headers[0], len(entries), float(np.linalg.norm(affine[:3, 0])))
    return Stack(array, affine, positions, tuple(headers), tuple(slopes), tuple(warnings))


def _fewer_slices(header: Dataset, count: int, step: float) -> list[str]:
    """Say where the header knows of more slices: by their number or, without it, by their thickness in mm."""
    claimed, thickness = int(number(header, "NumberOfSlices") or 0), number(header, "SliceThickness") or 0.0
    if claimed > count:
        return [f"fewer-slices: the series has {claimed} slices by its header, of which {count} are there"]
    if not claimed and 0 < GAP * thickness <= step:
        return [f"fewer-slices: slices are {thickness:.2f} mm thick, but {step:.2f} mm apart; some may be missing"]
    return []


def on_even_grid(stack: Stack, array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Move slices to the stack's even grid, by linear interpolation between neighbours.

    Args:
        stack: of which `affine` is the grid.
        array: (slice, row, column), the stack's own or one computed from it.

    Returns:
        The array itself where its slices lie evenly, and warnings.
    """
    positions, distances = stack.positions_mm, np.diff(stack.positions_mm)
    if np.ptp(distances) <= SAME_PLACE_MM:
        return array, []
    said = f"distances between slices are {distances.min():.2f} to {distances.max():.2f} mm"
    step = float(np.linalg.norm(stack.affine[:3, 0]))
    if (off := _unevenness(positions)) <= UNEVEN:
        return array, [f"uneven-slices: {said}; taken as {step:.3f} mm, at most {off * step:.2f} mm off"]
    places = positions[0] + step * np.arange(round((positions[-1] - positions[0]) / step) + 1)
    below = np.clip(np.searchsorted(positions, places, side="right") - 1, 0, len(positions) - 2)
    share = np.clip((places - positions[below]) / distances[below], 0, 1).astype(np.float32)
    even = np.empty((len(places), *array.shape[1:]), np.float32)
    for index, (lower, weight) in enumerate(zip(below, share, strict=True)):
        even[index] = (1 - weight) * array[lower] + weight * array[lower + 1]
    return even, [f"resampled: {said}; interpolated linearly to {step:.3f} mm"]


def _check_alike(series: Series) -> None:
    """Refuse slices that can't belong together: mixed patients, sizes, units, or two series under one UID."""
    for keyword in _ALIKE:
        found = sorted({text(header, keyword) for header in series.headers})
        if len(found) > 1:
            what = "several patients" if keyword == "PatientID" else f"slices of different {keyword}"
            which = f" ({len(found)})" if keyword in _PRIVATE else f": {', '.join(found[:4])}"
            raise VolumeError(f"series {series.uid} mixes {what}{which}")
    for keyword, count, slack in (("ImageOrientationPatient", 6, 1e-3), ("PixelSpacing", 2, 1e-3)):
        values = [numbers(header, keyword, count) for header in series.headers]
        complete = [each for each in values if each is not None]
        if len(complete) < len(values):
            raise VolumeError(f"series {series.uid} has {len(values) - len(complete)} slices without {keyword}")
        if np.ptp(np.array(complete), axis=0).max() > slack:
            raise VolumeError(f"series {series.uid} mixes slices of different {keyword}")


def _in_order(series: Series) -> tuple[list[Entry], npt.NDArray[np.float64], list[str]]:
    """Entries and places along the normal, ascending, without duplicates."""
    normal, _ = _normal(series.entries[0].header)
    placed = []
    for entry in series.entries:
        corner = numbers(entry.header, "ImagePositionPatient", 3)
        if corner is None:
            raise VolumeError(f"{entry.file.name} has no ImagePositionPatient; its slice has no place")
        placed.append((float(np.dot(corner, normal)), entry))
    placed.sort(key=lambda item: (item[0], item[1].file))
    kept, copies = [placed[0]], 0
    for position, entry in placed[1:]:
        if position - kept[-1][0] > SAME_PLACE_MM:
            kept.append((position, entry))
        elif _is_copy(entry, kept[-1][1]):
            copies += 1
        else:
            raise VolumeError(
                f"series {series.uid} has two different slices at one place ({position:.2f} mm along the normal):"
                f" {kept[-1][1].file.name} and {entry.file.name}; two series under one UID?"
            )
    if len(kept) < MIN_SLICES:
        raise VolumeError(f"series {series.uid} is too short for a volume: {len(kept)} of at least {MIN_SLICES} slices")
    warnings = [f"duplicates: {copies} slices came more than once and were left out"] if copies else []
    return [entry for _, entry in kept], np.array([position for position, _ in kept]), warnings


def _affine(entries: list[Entry], positions: npt.NDArray[np.float64], damaged: Sequence[Path]) -> Affine:
    """From (slice, row, column) to LPS mm."""
    first = entries[0].header
    normal, (along_row, along_column) = _normal(first)
    row_mm, column_mm = numbers(first, "PixelSpacing", 2) or (0.0, 0.0)
    corners = np.array([numbers(entry.header, "ImagePositionPatient", 3) for entry in entries])
    sideways = corners - np.outer(positions, normal)
    if np.ptp(sideways, axis=0).max() > _MAX_SHIFT * min(row_mm, column_mm):
        raise VolumeError(
            "the slices do not lie straight above each other (a tilted gantry, or two series under one UID)"
        )
    distances = np.diff(positions)
    usual = float(np.median(distances))
    gaps = [(low, high) for low, high in pairwise(positions) if high - low > GAP * usual]
    if gaps:
        missing = sum(max(1, round((high - low) / usual) - 1) for low, high in gaps)
        places = ", ".join(f"{low:.1f} and {high:.1f} mm" for low, high in gaps[:3])
        unread = f"; {_unreadable(damaged)}" if damaged else ""
        some = "a slice is" if missing == 1 else f"about {missing} slices are"
        raise VolumeError(f"{some} missing, between {places} along the normal{unread}")
    even = _unevenness(positions) <= UNEVEN
    step = (positions[-1] - positions[0]) / (len(positions) - 1) if even else usual
    affine = np.eye(4)
    # A step to the next row goes along a column, and the other way round.
    affine[:3, :3] = np.column_stack([normal * step, along_column * row_mm, along_row * column_mm])
    affine[:3, 3] = corners[0]
    return affine


def _unreadable(files: Sequence[Path]) -> str:
    return f"{len(files)} DICOM file{'s' * (len(files) > 1)} can't be read, such as {files[0].name}"


def _normal(header: Dataset) -> tuple[npt.NDArray[np.float64], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """The slices' normal, and the directions in which a row and a column run."""
    orientation = np.array(numbers(header, "ImageOrientationPatient", 6))
    along_row, along_column = orientation[:3], orientation[3:]
    normal = np.cross(along_row, along_column)
    length = float(np.linalg.norm(normal))
    if not 0.95 < length < 1.05:
        raise VolumeError(f"ImageOrientationPatient is {orientation.tolist()}, which is not a pair of directions")
    return normal / length, (along_row, along_column)


def _unevenness(positions: npt.NDArray[np.float64]) -> float:
    """How far a slice lies from an even grid between first and last, at most, in distances."""
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    return float(np.abs(positions - positions[0] - step * np.arange(len(positions))).max() / step)


def _is_copy(one: Entry, other: Entry) -> bool:
    """Whether two files hold the same slice: the same object, or the same pixels with the same slope."""
    if text(one.header, "SOPInstanceUID") == text(other.header, "SOPInstanceUID"):
        return True
    a, b = read_dicom(one.file), read_dicom(other.file)
    return all(value(a, keyword) == value(b, keyword) for keyword in ("PixelData", "RescaleSlope", "RescaleIntercept"))


def _read_slice(file: Path, target: npt.NDArray[np.float32], decoder: Decoder) -> tuple[Dataset, float]:
    """Read one slice into its place of the volume: stored values times slope plus intercept.

    Returns:
        Its header without the pixels, and its slope.
    """
    header = read_dicom(file)
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept") or 0.0
    if slope is None or slope <= 0:
        raise VolumeError(f"{file.name} has no RescaleSlope above 0; its values have no unit")
    if "PixelData" not in header and any(keyword in header for keyword in _FLOATS):
        raise VolumeError(f"{file.name} holds its pixels as floating-point numbers, which PET does not")
    stored = decoder.decode(header, file)
    if stored.shape != target.shape:
        raise VolumeError(f"{file.name} holds {stored.shape} pixels; its header claims {target.shape}")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused later
        target[:] = stored * slope + intercept
    del header.PixelData
    return header, slope
