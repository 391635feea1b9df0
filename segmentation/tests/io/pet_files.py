"""Small PET files for the tests: an asymmetric phantom in any orientation, as NIfTI or as a DICOM series."""

from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from mipseg.io.volume import Volume

SPACING = (3.0, 2.0, 2.5)
ORIGIN = (-11.0, 7.0, -30.0)  # x, y, z of the first voxel, LPS mm
SLOPE = 0.5
# Stored values, no two alike; (Z, Y, X) from feet to head, from front to back, from right to left.
PHANTOM: npt.NDArray[np.int16] = np.random.default_rng(0).permutation(6 * 5 * 7).reshape(6, 5, 7).astype(np.int16) + 1
AFFINE = np.array([
    [0, 0, SPACING[2], ORIGIN[0]], [0, SPACING[1], 0, ORIGIN[1]], [SPACING[0], 0, 0, ORIGIN[2]], [0, 0, 0, 1],
])  # fmt: skip
SERIES, STUDY, FRAME = (generate_uid(entropy_srcs=[name]) for name in ("series", "study", "frame"))
SCAN: dict[str, Any] = {
    "SeriesDate": "20250101",
    "SeriesTime": "110000",
    "AcquisitionDate": "20250101",
    "AcquisitionTime": "110000",
}
# At 11:00, one half-life of 3600 s after the injection: 70 kg / (70 MBq / 2) = 0.002 SUV ml/Bq.
TRACER: dict[str, Any] = {
    "RadionuclideTotalDose": 70e6,
    "RadionuclideHalfLife": 3600.0,
    "RadiopharmaceuticalStartTime": "100000",
}
FACTOR = 0.002


def orientations() -> Iterator[tuple[tuple[int, int, int], tuple[bool, bool, bool]]]:
    """All 48 axis orders and flips."""
    for axes in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            yield (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


def turned(axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> tuple[npt.NDArray[np.int16], Any]:
    """The phantom with other axes, and the matrix from its index to LPS mm."""
    array = np.flip(np.transpose(PHANTOM, axes), tuple(axis for axis in range(3) if flips[axis]))
    affine = AFFINE[:, [*axes, 3]].copy()
    for axis in range(3):
        if flips[axis]:
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    return array, affine


def write_nifti(file: Path, array: npt.NDArray[Any] = PHANTOM * SLOPE * FACTOR, affine: Any = AFFINE) -> Path:
    """A NIfTI file; `affine` leads to LPS mm."""
    nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1, 1, 1]) @ affine), file)
    return file


def make_slices(array: npt.NDArray[Any] = PHANTOM, affine: Any = AFFINE, **attributes: Any) -> list[Dataset]:
    """A PET series of one file for each step along the array's first axis.

    Args:
        array: (slice, row, column) of stored values.
        affine: from its index to LPS mm.
        attributes: DICOM keywords to set, or to delete (None).
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    slices = []
    for index, pixels in enumerate(array):
        header = _header()
        header.SOPInstanceUID = generate_uid(
            entropy_srcs=["slice", str(index), str(attributes.get("SeriesInstanceUID"))]
        )
        header.InstanceNumber = index + 1
        header.ImagePositionPatient = [float(side) for side in (affine @ [index, 0, 0, 1])[:3]]
        header.ImageOrientationPatient = [float(side) for side in (*directions[:, 2], *directions[:, 1])]
        header.PixelSpacing = [float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2)]
        header.Rows, header.Columns = pixels.shape
        header.PixelData = np.ascontiguousarray(pixels, "<i2").tobytes()
        for keyword, value in attributes.items():
            set_attribute(header, keyword, value)
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        slices.append(header)
    return slices


def set_attribute(header: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute of a slice or of its tracer; None deletes it."""
    of_tracer = keyword.startswith("Radio") and not keyword.endswith("Sequence")
    item = header.RadiopharmaceuticalInformationSequence[0] if of_tracer else header
    if value is None:
        delattr(item, keyword)
    else:
        setattr(item, keyword, value)


def write_slices(folder: Path, slices: list[Dataset]) -> Path:
    """Write a series; its file names tell nothing about the order."""
    folder.mkdir(parents=True, exist_ok=True)
    for header in slices:
        dcmwrite(
            folder / f"{header.SOPInstanceUID[-12:]}{len(list(folder.iterdir()))}", header, enforce_file_format=True
        )
    return folder


def read_slices(folder: Path, slices: list[Dataset], **arguments: Any) -> Volume:
    """Write a series and read it."""
    return read_volume(write_slices(folder, slices), **arguments)


def refusal_of(folder: Path, slices: list[Dataset], **arguments: Any) -> str:
    """Why a series is not read, in one line."""
    with pytest.raises(VolumeError) as caught:
        read_slices(folder, slices, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def make_ct(count: int = 3) -> list[Dataset]:
    """A CT series."""
    attributes = {
        "SOPClassUID": CTImageStorage,
        "Modality": "CT",
        "SeriesInstanceUID": generate_uid(entropy_srcs=["ct"]),
    }
    return make_slices(PHANTOM[:count], **attributes)


def _header() -> Dataset:
    header, tracer = Dataset(), Dataset()
    for keyword, value in {**SCAN, "Modality": "PT", "Manufacturer": "Maker", "PatientID": "P1"}.items():
        setattr(header, keyword, value)
    for keyword, value in TRACER.items():
        setattr(tracer, keyword, value)
    header.SOPClassUID = PositronEmissionTomographyImageStorage
    header.SeriesInstanceUID, header.StudyInstanceUID, header.FrameOfReferenceUID = SERIES, STUDY, FRAME
    header.PatientWeight, header.Units, header.DecayCorrection = 70.0, "BQML", "START"
    header.CorrectedImage, header.SeriesType = ["ATTN", "DECY"], ["STATIC", "IMAGE"]
    header.RadiopharmaceuticalInformationSequence = [tracer]
    header.SeriesDescription = "PET AC"
    header.RescaleSlope, header.RescaleIntercept = SLOPE, 0.0
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    return header
