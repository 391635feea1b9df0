"""Inputs that nobody should get a result for, as people have them; one function makes each."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedPETImageStorage, generate_uid

from tests.io.pet_files import AFFINE, FACTOR, PHANTOM, SLOPE, make_ct, make_slices, write_nifti, write_slices
from tests.io.test_nifti import RAS, write_raw

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)
Make = Callable[[Path], object]


def _slices(**attributes: Any) -> Make:
    return lambda path: write_slices(path, make_slices(**attributes))


def _other_series(**attributes: Any) -> list[Dataset]:
    return make_slices(SeriesInstanceUID="1.2.3", **attributes)


def _with_voxel(value: float) -> Make:
    array = SUV.copy()
    array[1, 2, 3] = value
    return lambda path: write_nifti(path, array)


def _cut(path: Path) -> None:
    write_nifti(path)
    path.write_bytes(path.read_bytes()[:-100])


def _cut_slice(path: Path) -> None:
    write_slices(path, make_slices())
    for number, file in enumerate(sorted(path.iterdir())):
        file.rename(path / f"slice-{number}")
    (path / "slice-3").write_bytes((path / "slice-3").read_bytes()[:-10])


def _mixed_patients(path: Path) -> None:
    slices = make_slices()
    slices[2].PatientID = "P2"
    write_slices(path, slices)


def _one_uid(path: Path) -> None:
    """Two series under one UID; files named so that the message repeats."""
    for name, array in (("a", PHANTOM), ("b", PHANTOM + 1)):
        slices = make_slices(array)
        for number, header in enumerate(slices):
            header.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(number)])
            (file,) = write_slices(path / f"{name}{number}", [header]).iterdir()
            file.rename(path / f"{name}-{number}")
            (path / f"{name}{number}").rmdir()


def _missing_slices(path: Path) -> None:
    slices = make_slices()
    write_slices(path, slices[:2] + slices[4:])


def _dynamic(path: Path) -> None:
    write_slices(path, make_slices(SeriesType=["DYNAMIC", "IMAGE"]))


def _four_dimensions(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.stack([SUV, SUV], axis=3), RAS), path)


def _pair(path: Path) -> None:
    nib.save(nib.Nifti1Pair(SUV, RAS), path.with_suffix(".img"))


def _two_orientations(path: Path) -> None:
    image = nib.Nifti1Image(SUV, RAS)
    image.set_qform(np.diag([-1, 1, 1, 1]) @ RAS, 1)
    nib.save(image, path)


def _claims_8_gb(path: Path) -> None:
    raw = write_raw(path.with_suffix(""), {"dim": [3, 2000, 1000, 1000, 1, 1, 1, 1]})
    path.write_bytes(gzip.compress(raw.read_bytes()))
    raw.unlink()


def _zip(members: dict[str, bytes]) -> Make:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members.items():
                packed.writestr(name, content)

    return write


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _big_endian(path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">f4")
    nib.save(nib.Nifti1Image(SUV, RAS, header), path)


# What it is, its name, and what makes it. Sorted as the issue of a user would be: files, series, headers, archives.
BAD_INPUTS: tuple[tuple[str, str, Make], ...] = (
    ("no such file", "missing.nii.gz", lambda _: None),
    ("empty folder", "empty", Path.mkdir),
    ("a loop of links", "loop", _loop),
    ("text that is named as an image", "text.png", lambda path: path.write_text("no image")),
    ("CT alone", "ct", lambda path: write_slices(path, make_ct())),
    ("one slice", "one-slice", lambda path: write_slices(path, make_slices()[:1])),
    ("missing slices", "gap", _missing_slices),
    ("a cut DICOM file", "cut-slice", _cut_slice),
    ("two patients in one series", "mixed", _mixed_patients),
    ("two series under one UID", "one-uid", _one_uid),
    ("two PET series", "two-series", lambda path: write_slices(path, make_slices() + _other_series())),
    ("enhanced PET", "enhanced", _slices(SOPClassUID=EnhancedPETImageStorage)),
    ("dynamic PET", "dynamic", _dynamic),
    ("SPECT that calls itself PT", "spect", _slices(SeriesDescription="Bone SPECT")),
    ("no attenuation correction", "nac", _slices(CorrectedImage=["DECY"])),
    ("no body weight", "no-weight", _slices(PatientWeight=None)),
    ("counts that nothing calibrates", "counts", _slices(Units="CNTS")),
    ("a cut NIfTI", "cut.nii.gz", _cut),
    ("a NIfTI that claims 8 GB", "claim.nii.gz", _claims_8_gb),
    ("a voxel that is NaN", "nan.nii.gz", _with_voxel(np.nan)),
    ("an infinite voxel", "infinite.nii.gz", _with_voxel(np.inf)),
    ("a 4-D NIfTI", "4d.nii.gz", _four_dimensions),
    ("sform and qform that disagree", "forms.nii.gz", _two_orientations),
    ("a spacing of 0", "spacing.nii", lambda path: write_raw(path, {"pixdim": [1, 0, 2, 3, 1, 1, 1, 1]})),
    ("a spacing in another unit", "micron.nii", lambda path: write_raw(path, {"xyzt_units": 3})),
    ("two spacings", "pixdim.nii", lambda path: write_raw(path, {"pixdim": [1, 6, 4, 5, 1, 1, 1, 1]})),
    ("voxels that begin in the header", "offset.nii", lambda path: write_raw(path, {"vox_offset": 100})),
    ("no orientation", "nowhere.nii", lambda path: write_raw(path, {"sform_code": 0, "qform_code": 0})),
    ("a pair of files", "pair.hdr", _pair),
    ("CT as NIfTI", "ct.nii.gz", lambda path: write_nifti(path, PHANTOM.astype(np.float32) - 1000)),
    ("a mask as NIfTI", "mask.nii.gz", lambda path: write_nifti(path, (PHANTOM > 9).astype(np.float32))),
    ("a map of labels", "labels.nii.gz", lambda path: write_nifti(path, PHANTOM % np.float32(5))),
    ("probabilities", "probability.nii.gz", lambda path: write_nifti(path, (PHANTOM - 1) / np.float32(209))),
    ("Bq/ml that are not said to be", "bqml.nii.gz", lambda path: write_nifti(path, SUV * 50_000, AFFINE)),
    ("a path that leads out of a ZIP", "path.zip", _zip({"../a": b"x"})),
    ("a ZIP that unpacks to too much", "bomb.zip", _zip({"a": bytes(300_000_000)})),
    ("a big-endian NIfTI", "big-endian.nii", _big_endian),
)
