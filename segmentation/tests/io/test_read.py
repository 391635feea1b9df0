"""What a path leads to, and a clear line for everything that is not a volume."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mipseg.errors import ArgumentError, VolumeError
from mipseg.io.read import UNIT_TAKEN, read_volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_slices, write_nifti, write_slices
from tests.io.test_attached import write

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)


def refused(path: Path) -> str:
    with pytest.raises(VolumeError) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_with_one_volume(tmp_path: Path) -> None:
    write_nifti(tmp_path / "pet.nii.gz")
    (tmp_path / "readme.txt").write_text("-")
    Image.new("L", (5, 5)).save(tmp_path / "preview.png")
    np.testing.assert_allclose(read_volume(tmp_path).voxels, SUV)


def test_a_folder_with_several_inputs(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii")
    assert refused(tmp_path) == f"{tmp_path.name} holds several inputs (2 nifti); name one of them"
    write_slices(tmp_path, make_slices())
    assert "holds several inputs (2 nifti, 6 dicom)" in refused(tmp_path)


def test_paths_that_lead_to_nothing(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"can't read {tmp_path / 'none'}: No such file or directory"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == "empty holds no DICOM, NIfTI, MHA or NRRD file"
    (tmp_path / "text").write_text("no image " * 100)
    assert refused(tmp_path / "text") == "text is neither DICOM, NIfTI, MHA, NRRD, ZIP, PNG nor JPEG"
    (tmp_path / "void").write_bytes(b"")
    assert "void is neither" in refused(tmp_path / "void")
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    assert refused(tmp_path / "a.png") == "a.png is a PNG or JPEG image, not a volume"


def test_loops_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "can't read" in refused(tmp_path / "loop")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "broken").symlink_to(tmp_path / "nowhere")
    write_nifti(tmp_path / "a" / "pet.nii")
    np.testing.assert_allclose(read_volume(tmp_path).voxels, SUV)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    write_nifti(tmp_path / "pet.nii")
    np.testing.assert_allclose(read_volume(tmp_path).voxels, SUV)
    assert "is neither a file nor a folder" in refused(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("a.nii", {"series": "1.2"}, "a.nii is not DICOM, so it has no series 1.2"),
        ("a.nii", {"weight_kg": 70.0}, "give the unit bqml with them"),
        ("a.nii", {"unit": "suv", "dose_bq": 1e8}, "give the unit bqml with them"),
        ("dicom", {"unit": "suv"}, "the unit of DICOM files is in their headers"),
    ],
)
def test_arguments_that_do_not_fit(name: str, arguments: dict[str, Any], text: str, tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii")
    write_slices(tmp_path / "dicom", make_slices())
    with pytest.raises(ArgumentError, match=text):
        read_volume(tmp_path / name, **arguments)


@pytest.mark.parametrize(("name", "missing"), [("a.nii", "nibabel"), ("dicom", "pydicom")])
def test_without_the_extra_it_is_named(
    name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nifti(tmp_path / "a.nii")
    write_slices(tmp_path / "dicom", make_slices())
    for module in [each for each in sys.modules if each.startswith("mipseg.io.") and each != "mipseg.io.read"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    assert refused(tmp_path / name) == f"volumes need {missing}: install mipseg[volume]"


def test_values_that_are_not_suv(tmp_path: Path) -> None:
    volume = read_volume(write_nifti(tmp_path / "a.nii", SUV * 50_000))
    assert volume.unit == "unknown"
    assert volume.suv_reason.endswith("if they are Bq/ml, give the unit bqml, weight and dose")
    volume = read_volume(tmp_path / "a.nii", unit="suv")
    assert volume.unit == "suv"
    assert volume.warnings[0].startswith("suv-implausible: the median SUV of the body would be")
    assert read_volume(tmp_path / "a.nii", unit="unknown").suv_reason == "the unit is not known"
    text = refused(write_nifti(tmp_path / "ct.nii", PHANTOM.astype(np.float32) - 1000))
    assert "has values from -999 to -790, as CT has and PET has not; if they are Bq/ml, give the unit bqml" in text


def test_noise_below_0_is_not_taken_for_ct(tmp_path: Path) -> None:
    noisy = SUV * 50_000
    noisy.flat[0] = -0.019 * noisy.max()
    found = read_volume(write_nifti(tmp_path / "pet.nii", noisy))
    assert found.unit == "unknown"
    assert found.suv_reason.endswith("if they are Bq/ml, give the unit bqml, weight and dose")
    assert found.voxels.min() < -190
    noisy.flat[0] = -0.021 * noisy.max()
    assert "as CT has and PET has not" in refused(write_nifti(tmp_path / "ct.nii", noisy))


@pytest.mark.parametrize("name", ["a.nii", "a.mha", "a.nrrd"])
def test_that_the_unit_is_taken_is_said_unless_it_was_given(name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    assert read_volume(tmp_path / name).warnings == (UNIT_TAKEN,)
    assert read_volume(tmp_path / name, unit="suv").warnings == ()


LABELS = np.random.default_rng(0).integers(0, 4, PHANTOM.shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (LABELS > 0, "holds only 0 and 1, as a mask or a map of labels does and PET does not"),
        ((LABELS > 0) * 2, "holds only 0 and 2, as a mask"),
        ((LABELS > 0) * 0.5, "holds only 0 and 0.5, as a mask"),
        (np.full(PHANTOM.shape, 0.7), "holds only 0.7, as a mask"),
        (LABELS, "holds only 4 whole numbers from 0 to 3, as a mask or a map of labels"),
        (PHANTOM % 200, "holds only 200 whole numbers from 0 to 199, as a mask or a map of labels"),
        ((PHANTOM - 1) / (PHANTOM.max() - 1), "has values from 0 to 1, as probabilities and scaled images have"),
    ],
)
def test_what_no_pet_holds(array: Any, text: str, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "a.nii", np.asarray(array, np.float32))
    assert text in refused(file)
    assert read_volume(file, unit="suv").unit == "suv"


def test_whole_numbers_are_not_suv(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(1, 20, 45**3).astype(np.float32)
    counts[:300] = np.arange(20, 320)  # many numbers, but so few voxels that the body's median would do for SUV
    found = read_volume(write_nifti(tmp_path / "a.nii", counts.reshape(45, 45, 45)))
    assert (found.unit, found.suv_reason[:37]) == ("unknown", "values up to 319 do not look like SUV")
