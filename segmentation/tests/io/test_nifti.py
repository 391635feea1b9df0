"""NIfTI files: what they may hold, and what is refused because it can't be known."""

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from mipseg.errors import VolumeError
from mipseg.io.nifti import read_nifti
from mipseg.io.read import read_volume
from tests.io.pet_files import AFFINE, FACTOR, PHANTOM, SLOPE, write_nifti

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)
RAS = np.diag([-1.0, -1, 1, 1]) @ AFFINE


def image(array: Any = SUV, affine: Any = RAS, **header: Any) -> nib.Nifti1Image:
    made = nib.Nifti1Image(array, affine)
    for key, value in header.items():
        made.header[key] = value
    return made


def write_raw(file: Path, changes: dict[str, Any]) -> Path:
    """Change header fields that nibabel would mend when it saves."""
    write_nifti(file)
    content = bytearray(file.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for key, value in changes.items():
        header[key] = value
    content[:348] = header.binaryblock
    file.write_bytes(content)
    return file


def refused(file: Path) -> str:
    with pytest.raises(VolumeError) as caught:
        read_nifti(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_both_versions_packed_or_not_whatever_the_name(kind: Any, name: str, tmp_path: Path) -> None:
    nib.save(kind(SUV, RAS), tmp_path / name)
    (tmp_path / name).rename(tmp_path / "series-1")
    np.testing.assert_array_equal(read_volume(tmp_path / "series-1").voxels, SUV)


def test_big_endian_and_scaled_integers(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    header.set_slope_inter(0.001, 0.5)
    nib.save(nib.Nifti1Image(PHANTOM * 0.001 + 0.5, RAS, header), tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").voxels, PHANTOM * 0.001 + 0.5, atol=0.0005)


def test_the_matrix_in_metres(tmp_path: Path) -> None:
    made = image(affine=np.diag([0.001, 0.001, 0.001, 1]) @ RAS)
    made.header.set_xyzt_units("meter")
    nib.save(made, tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").affine, AFFINE, atol=1e-4)


def test_qform_alone(tmp_path: Path) -> None:
    made = image()
    made.set_qform(RAS, 1)
    made.set_sform(None, 0)
    nib.save(made, tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").affine, AFFINE, atol=1e-5)


def test_no_orientation(tmp_path: Path) -> None:
    assert "no orientation (sform_code and qform_code are 0)" in refused(
        write_raw(tmp_path / "a.nii", {"sform_code": 0, "qform_code": 0})
    )


def test_sform_and_qform_that_disagree(tmp_path: Path) -> None:
    made = image()
    made.set_qform(np.diag([-1, 1, 1, 1]) @ RAS, 1)
    nib.save(made, tmp_path / "a.nii")
    assert "sform and qform disagree by up to" in refused(tmp_path / "a.nii")


@pytest.mark.parametrize("apart", [0.9, 1.1])
def test_sform_and_qform_may_be_apart_by_half_of_the_smallest_side(apart: float, tmp_path: Path) -> None:
    made = image()
    moved = RAS.copy()
    moved[0, 3] += apart  # mm; the smallest side is 2 mm
    made.set_qform(moved, 1)
    nib.save(made, tmp_path / "a.nii")
    if apart > 1:
        assert "sform and qform disagree by up to 1.1 mm" in refused(tmp_path / "a.nii")
    else:
        np.testing.assert_allclose(read_volume(tmp_path / "a.nii").affine, AFFINE, atol=1e-5)


def test_a_qfac_of_0_is_1(tmp_path: Path) -> None:
    made = image(affine=np.diag([2.5, 2, 3, 1]))
    made.set_qform(made.affine, 1)
    made.set_sform(None, 0)
    nib.save(made, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    header["pixdim"][0] = 0
    content[:348] = header.binaryblock
    (tmp_path / "a.nii").write_bytes(content)
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").affine, np.diag([-2.5, -2, 3, 1]), atol=1e-5)


def test_several_volumes(tmp_path: Path) -> None:
    nib.save(image(np.stack([SUV, SUV], axis=3)), tmp_path / "a.nii")
    assert "is 4-D, 2 volumes in one (dynamic or several images)" in refused(tmp_path / "a.nii")
    nib.save(image(SUV[..., None]), tmp_path / "b.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii").voxels, SUV)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pixdim": [1, 0, 2, 3, 1, 1, 1, 1]}, "has a spacing of 0 x 2 x 3 mm"),
        ({"pixdim": [1, np.nan, 2, 3, 1, 1, 1, 1]}, "has a spacing of nan"),
        ({"srow_x": [0, 0, 0, 0]}, "has a spacing of"),
        ({"dim": [3, 2000, 1000, 1000, 1, 1, 1, 1]}, "claims 2000 x 1000 x 1000 voxels"),
        ({"dim": [3, 600, 600, 600, 1, 1, 1, 1]}, "not a sound NIfTI file; it may be cut off"),
        ({"dim": [2, 5, 6, 1, 1, 1, 1, 1]}, "is 2-D (5 x 6)"),
        ({"dim": [3, 5, 6, 1, 1, 1, 1, 1]}, "has 5 x 6 x 1 voxels"),
        ({"dim": [3, -5, 6, 7, 1, 1, 1, 1]}, "a.nii"),
        ({"dim": [9, 5, 6, 7, 1, 1, 1, 1]}, "a.nii"),
        ({"datatype": 128, "bitpix": 24}, "one real number a voxel is needed"),
        ({"datatype": 32}, "one real number a voxel is needed"),
        ({"datatype": 7777}, "a.nii"),
        ({"vox_offset": 1e30}, "not a sound NIfTI file"),
        ({"vox_offset": 1}, "has its voxels from byte 1 on (vox_offset); the header takes 352"),
        ({"vox_offset": 351}, "has its voxels from byte 351 on"),
        ({"vox_offset": -352}, "has its voxels from byte -352 on"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 5.0}, "a.nii"),
        ({"pixdim": [1, 3, 2, 2.53, 1, 1, 1, 1]}, "a spacing of 3 x 2 x 2.53 in pixdim, but 3 x 2 x 2.5 in its s"),
    ],
)
def test_broken_headers(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert text in refused(write_raw(tmp_path / "a.nii", changes))


@pytest.mark.parametrize("changes", [{"vox_offset": 0}, {"pixdim": [1, 3, 2, 2.52, 1, 1, 1, 1]}])
def test_headers_that_are_not_strict(changes: dict[str, Any], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_volume(write_raw(tmp_path / "a.nii", changes)).voxels, SUV)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_not_finite(value: float, tmp_path: Path) -> None:
    array = SUV.copy()
    array[1, 2, 3] = value
    assert "has 1 voxels that are NaN, infinite or beyond 1e+30" in refused(write_nifti(tmp_path / "a.nii", array))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_every_cut_is_refused(name: str, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / name)
    whole = file.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:length])
        with pytest.raises(VolumeError):
            read_volume(file)


def test_a_small_packed_file_that_claims_a_large_volume_takes_no_memory_for_it(tmp_path: Path) -> None:
    file = write_raw(tmp_path / "a.nii", {"dim": [3, 1024, 1024, 256, 1, 1, 1, 1]})
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(file.read_bytes()))
    tracemalloc.start()
    assert "may be cut off" in refused(tmp_path / "b.nii.gz")
    assert "may be cut off" in refused(tmp_path / "a.nii")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000  # of 2 GiB claimed


def test_bqml_becomes_suv_by_weight_and_dose(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "a.nii", SUV * 500)
    volume = read_volume(file, unit="bqml", weight_kg=70, dose_bq=35e6)
    assert (volume.unit, volume.suv_reason) == ("suv", "")
    np.testing.assert_allclose(volume.voxels, SUV, rtol=1e-6)
    volume = read_volume(file, unit="bqml", weight_kg=70)
    assert (volume.unit, volume.suv_reason) == ("bqml", "no dose (RadionuclideTotalDose is missing, 0 or not a number)")
