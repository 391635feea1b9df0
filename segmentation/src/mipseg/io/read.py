"""Any PET volume from disk: NIfTI, MHA, NRRD, a folder or a ZIP archive of DICOM files, told by content."""

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mipseg.errors import ArgumentError, VolumeError
from mipseg.io.archive import unpack_zip
from mipseg.io.attached import read_attached
from mipseg.io.find import FileKind, file_kind, files_by_kind
from mipseg.io.metaimage import read_metaimage_header
from mipseg.io.nrrd import read_nrrd_header
from mipseg.io.volume import Grid, Kind, Unit, Volume, body_median, spacing_of, to_patient_frame
from mipseg.suv.factor import dose_becquerel, judge_median, weight_gram
from mipseg.suv.times import NoSuvError
from mipseg.types import Voxels

_NAMES = {"nifti": "NIfTI", "mha": "MHA", "nrrd": "NRRD"}
# Of CT: air has -1000 HU, metal up to 30 000. Noise takes PET below 0 as well, but not far of its highest value.
_NOT_PET_BELOW, _NOT_PET_SHARE = -50.0, 0.02
_MOST_LABELS = 256  # whole numbers; a PET in whole Bq/ml has thousands
_SAMPLE = 1_000_000  # voxels of which the numbers are looked at
UNIT_TAKEN = "unit: the values are taken as SUV; the file does not say"


@dataclass(frozen=True)
class Found:
    """What a path leads to.

    Attributes:
        kind: of the files.
        files: all of a DICOM input, else one.
    """

    kind: FileKind
    files: tuple[Path, ...]


def read_volume(
    path: Path | str,
    *,
    series: str | None = None,
    unit: Unit | None = None,
    weight_kg: float | None = None,
    dose_bq: float | None = None,
) -> Volume:
    """Read a PET volume.

    Args:
        path: a NIfTI, MHA, NRRD or DICOM file, a folder or a ZIP archive that holds one of these or DICOM series.
        series: the UID of the DICOM series, where there are several.
        unit: of NIfTI, MHA and NRRD, which do not say it: `suv` (None means that if the values look like it), or
            `bqml`, which becomes SUV by weight and dose.
        weight_kg: body weight; of DICOM, instead of the header's.
        dose_bq: injected activity; of DICOM, at the injection and instead of the header's; of other files, decayed to
            the time to which the image is corrected.

    Returns:
        Voxels in SUV, or with the reason why they are not.

    Raises:
        VolumeError: it can't be read without guessing.
        ArgumentError: `unit` does not fit the kind of file.
    """
    with find_input(Path(path)) as found:
        if found.kind == "image":
            raise VolumeError(f"{Path(path).name} is a PNG or JPEG image, not a volume")
        if found.kind != "dicom":
            if series is not None:
                raise ArgumentError(f"{Path(path).name} is not DICOM, so it has no series {series}")
            return _plain_volume(found, unit, weight_kg, dose_bq)
        if unit is not None:
            raise ArgumentError("the unit of DICOM files is in their headers; leave `unit` out")
        with _extra():
            from mipseg.io.dicom_volume import read_dicom_volume, select_series  # noqa: PLC0415

        return read_dicom_volume(select_series(found.files, series), weight_kg, dose_bq)


@contextmanager
def find_input(path: Path) -> Iterator[Found]:
    """What a path leads to; what is unpacked from an archive lives as long as the context.

    Raises:
        VolumeError: nothing that can be read, or several files of which each is an input.
    """
    try:
        is_folder, kind = path.is_dir(), None
        if not is_folder:
            path.stat()  # `is_dir` hides a missing file and a loop of links
            if not path.is_file():
                raise VolumeError(f"{path} is neither a file nor a folder")
            kind = file_kind(path)
    except OSError as error:
        raise VolumeError(f"can't read {path}: {error.strerror}") from error
    if is_folder:
        yield _of_folder(path, path.name)
    elif kind == "zip":
        with tempfile.TemporaryDirectory(prefix="mipseg-") as folder:
            unpack_zip(path, Path(folder))
            yield _of_folder(Path(folder), path.name)
    elif kind is None:
        raise VolumeError(f"{path.name} is neither DICOM, NIfTI, MHA, NRRD, ZIP, PNG nor JPEG")
    else:
        yield Found(kind, (path,))


@contextmanager
def _extra() -> Iterator[None]:
    """Import what only the extra `volume` installs."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise VolumeError(f"volumes need {error.name}: install mipseg[volume]") from error


def _of_folder(folder: Path, name: str) -> Found:
    by_kind = files_by_kind(folder)
    dicom = by_kind.pop("dicom", [])
    archives = by_kind.pop("zip", [])
    others: list[tuple[FileKind, Path]] = [(kind, file) for kind, files in by_kind.items() for file in files]
    volumes = [(kind, file) for kind, file in others if kind != "image"]
    if dicom and not volumes:
        return Found("dicom", tuple(dicom))
    if len(volumes or others) == 1 and not dicom:
        kind, file = (volumes or others)[0]
        return Found(kind, (file,))
    if not others:
        inside = f", but {len(archives)} archives, which are not opened" if archives else ""
        raise VolumeError(f"{name} holds no DICOM, NIfTI, MHA or NRRD file{inside}")
    counts = ", ".join(f"{len(files)} {kind}" for kind, files in sorted(by_kind.items()) if files)
    raise VolumeError(
        f"{name} holds several inputs ({counts}{f', {len(dicom)} dicom' if dicom else ''}); name one of them"
    )


def _plain_volume(found: Found, unit: Unit | None, weight_kg: float | None, dose_bq: float | None) -> Volume:
    """A volume of a file that says nothing but numbers and their places."""
    kind: Kind
    if found.kind == "nifti":
        with _extra():
            from mipseg.io.nifti import read_nifti  # noqa: PLC0415
        kind, grid = "nifti", read_nifti(found.files[0])
    elif found.kind == "mha":
        kind, grid = "mha", read_attached(found.files[0], read_metaimage_header)
    else:
        kind, grid = "nrrd", read_attached(found.files[0], read_nrrd_header)
    return _with_unit(grid, kind, unit, (weight_kg, dose_bq))


def _with_unit(grid: Grid, kind: Kind, unit: Unit | None, person: tuple[float | None, float | None]) -> Volume:
    if unit != "bqml" and person != (None, None):
        raise ArgumentError("weight and dose make SUV of Bq/ml; give the unit bqml with them")
    voxels, affine, source, warnings = to_patient_frame(grid, kind)
    volume = Volume(voxels, affine, spacing_of(affine), unit or "suv", source, "", tuple(warnings))
    if unit == "bqml":
        try:
            weight = weight_gram(person[0])
            factor = weight / dose_becquerel(person[1], weight, warnings)
        except NoSuvError as error:
            return dataclasses.replace(volume, suv_reason=str(error))
        np.multiply(voxels, np.float32(factor), out=voxels)
    elif unit == "unknown":
        return dataclasses.replace(volume, suv_reason="the unit is not known")
    reason, warning = judge_median(body_median(voxels))
    if unit is None:
        is_whole = _check_pet(voxels, f"the {_NAMES[kind]} file")
        if reason or is_whole:
            hint = f"values up to {voxels.max():g} do not look like SUV; if they are Bq/ml, give the unit bqml, "
            return dataclasses.replace(volume, unit="unknown", suv_reason=f"{hint}weight and dose")
        warnings.append(UNIT_TAKEN)
    warnings += [text for text in (warning, reason and f"suv-{reason}") if text]
    return dataclasses.replace(volume, unit="suv", warnings=tuple(warnings))


def _check_pet(voxels: Voxels, name: str) -> bool:
    """Refuse what no PET holds, in SUV or another unit.

    Returns:
        Whether all of a large sample are whole numbers, which SUV are not.
    """
    lowest, highest = float(voxels.min()), float(voxels.max())
    if lowest < min(_NOT_PET_BELOW, -_NOT_PET_SHARE * highest):
        said = f"{name} has values from {lowest:g} to {highest:g}, as CT has and PET has not"
        raise VolumeError(f"{said}; if they are Bq/ml, give the unit bqml, weight and dose")
    values = np.unique(voxels.ravel()[:: max(1, voxels.size // _SAMPLE)])
    is_whole = bool((values == np.rint(values)).all())
    if values.size <= 2 or (is_whole and values.size <= _MOST_LABELS):
        raise VolumeError(f"{name} holds only {_listed(values)}, as a mask or a map of labels does and PET does not")
    if (lowest, highest) == (0, 1):
        raise VolumeError(f"{name} has values from 0 to 1, as probabilities and scaled images have and PET has not")
    return is_whole


def _listed(values: npt.NDArray[np.float32]) -> str:
    if values.size <= 2:
        return " and ".join(f"{value:g}" for value in values)
    return f"{values.size} whole numbers from {values[0]:g} to {values[-1]:g}"
