"""What an input is: for `mipseg info`, and before anyone trusts a number."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from mipseg.io.codec import decode_image
from mipseg.io.dicom_headers import number, refusal, suv_header, text, tracer_texts
from mipseg.io.dicom_volume import Selection, read_dicom_volume, select_series
from mipseg.io.read import find_input, read_volume
from mipseg.io.volume import Unit, Volume, spacing_of
from mipseg.suv.factor import NoSuv, suv_factor, uptake_seconds
from mipseg.suv.nuclides import find_nuclide


@dataclass(frozen=True)
class SuvDescription:
    """Whether an input has SUV, and which.

    Attributes:
        available: whether it can be had.
        reason: why not; None where it can.
        factor: SUV / stored value; None where each slice has its own, or the file holds SUV already.
        min: of all voxels above 0, which leaves out the air that reconstruction sets to 0; in SUV, as the next two.
        median: of these voxels.
        max: of these voxels.
    """

    available: bool
    reason: str | None
    factor: float | None = None
    min: float | None = None
    median: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class InputDescription:
    """What an input is; what is not known is None. `dataclasses.asdict` turns it into plain values.

    Attributes:
        kind: `dicom`, `nifti`, `mha`, `nrrd` or `image` (PNG, JPEG).
        modality: of DICOM, such as `PT`.
        maker: of DICOM: manufacturer and model.
        series: of DICOM: the UID of the series.
        description: of DICOM: the series' own.
        size: voxels along the columns, rows and slices of the file, in its own order (i, j, k).
        spacing_mm: in the same order.
        orientation: where these three point, in letters for left, right, posterior, anterior, superior, inferior.
        patient_position: of DICOM, such as `HFS`.
        tracer: such as `F-18, FDG`.
        uptake_minutes: from the injection to the scan.
        suv: see `SuvDescription`.
        warnings: `code: sentence` each.
    """

    kind: str
    modality: str | None
    maker: str | None
    series: str | None
    description: str | None
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str | None
    patient_position: str | None
    tracer: str | None
    uptake_minutes: float | None
    suv: SuvDescription
    warnings: tuple[str, ...]


def describe_input(
    path: Path | str,
    *,
    series: str | None = None,
    unit: Unit | None = None,
    weight_kg: float | None = None,
    dose_bq: float | None = None,
) -> InputDescription:
    """Describe an input; the arguments are those of `read_volume`.

    A PET that is refused by name (enhanced, dynamic, SPECT) is described with the reason instead of its SUV.

    Raises:
        VolumeError: it can't be read without guessing.
        ImageError: a PNG or JPEG that can't be read.
        ArgumentError: `unit` does not fit the kind of file.
    """
    with find_input(Path(path)) as found:
        if found.kind == "image":
            return _describe_image(found.files[0])
        if found.kind == "dicom" and unit is None:
            return _describe_dicom(select_series(found.files, series), weight_kg, dose_bq)
    volume = read_volume(path, series=series, unit=unit, weight_kg=weight_kg, dose_bq=dose_bq)
    # NIfTI arrays are (i, j, k), those of SimpleITK the reverse.
    order = 1 if volume.source.kind == "nifti" else -1
    return InputDescription(
        kind=volume.source.kind,
        modality=None,
        maker=None,
        series=None,
        description=None,
        size=volume.source.shape[::order],
        spacing_mm=spacing_of(volume.source.affine)[::order],
        orientation=_orientation(volume)[::order],
        patient_position=None,
        tracer=None,
        uptake_minutes=None,
        suv=_suv(volume, None),
        warnings=volume.warnings,
    )


def _describe_image(file: Path) -> InputDescription:
    height, width, _ = decode_image(file.read_bytes()).shape
    reason = "a PNG or JPEG shows shares of a window, not SUV"
    unknown = (None,) * 4
    return InputDescription(
        "image", *unknown, (width, height), None, None, None, None, None, SuvDescription(False, reason), ()
    )


def _describe_dicom(selection: Selection, weight_kg: float | None, dose_bq: float | None) -> InputDescription:
    first = selection.series.headers[0]
    reason = refusal(selection.series.headers)
    if reason:
        size, spacing, orientation = _claimed_size(selection), None, None
        suv, warnings, headers = SuvDescription(False, reason), selection.warnings, tuple(selection.series.headers)
    else:
        volume = read_dicom_volume(selection, weight_kg, dose_bq)
        headers, warnings, orientation = volume.source.headers, volume.warnings, _orientation(volume)[::-1]
        size, spacing = volume.source.shape[::-1], spacing_of(volume.source.affine)[::-1]
        suv, first = _suv(volume, _factor(headers, weight_kg, dose_bq)), headers[0]
    uptake = uptake_seconds(suv_header(headers))
    tracer = find_nuclide(tracer_texts(first))
    named = [*([tracer.name] if tracer else []), *tracer_texts(first)[-1:]]
    return InputDescription(
        kind="dicom",
        modality=text(first, "Modality") or None,
        maker=" ".join(filter(None, (text(first, "Manufacturer"), text(first, "ManufacturerModelName")))) or None,
        series=selection.series.uid,
        description=text(first, "SeriesDescription") or None,
        size=size,
        spacing_mm=spacing,
        orientation=orientation,
        patient_position=text(first, "PatientPosition") or None,
        tracer=", ".join(named) or None,
        uptake_minutes=None if uptake is None else round(uptake / 60, 2),
        suv=suv,
        warnings=warnings,
    )


def _claimed_size(selection: Selection) -> tuple[int, ...]:
    """Columns, rows and images of a series that is not read."""
    first = selection.series.headers[0]
    images = sum(int(number(header, "NumberOfFrames") or 1) for header in selection.series.headers)
    return int(number(first, "Columns") or 0), int(number(first, "Rows") or 0), images


def _factor(headers: tuple[Dataset, ...], weight_kg: float | None, dose_bq: float | None) -> float | None:
    """SUV / stored value, if it is the same in every slice."""
    found = suv_factor(suv_header(headers, weight_kg, dose_bq))
    if isinstance(found, NoSuv):
        return None
    slopes = [number(header, "RescaleSlope") or 0.0 for header in headers]
    factors = [slope * factor for slope, factor in zip(slopes, found.factors, strict=True)]
    return factors[0] if max(factors) - min(factors) <= 1e-9 * max(factors) else None


def _suv(volume: Volume, factor: float | None) -> SuvDescription:
    if volume.unit != "suv":
        return SuvDescription(False, volume.suv_reason)
    above = volume.voxels[volume.voxels > 0]
    if not above.size:
        return SuvDescription(True, None, factor)
    return SuvDescription(True, None, factor, float(above.min()), float(np.median(above)), float(above.max()))


def _orientation(volume: Volume) -> str:
    """Where each axis of the file's array points, as letters."""
    letters = (("S", "I"), ("P", "A"), ("L", "R"))  # of the volume's axes, forwards and backwards
    source = volume.source
    pointing = dict(zip(source.axes, (letters[axis][source.flips[axis]] for axis in range(3)), strict=True))
    return "".join(pointing[axis] for axis in range(3))
