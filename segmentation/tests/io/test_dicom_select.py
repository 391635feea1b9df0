"""Which series is read of a folder that holds many; whichever it is, it is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from tests.io.pet_files import AFFINE, FACTOR, PHANTOM, SERIES, SLOPE, make_ct, make_slices, write_slices

OTHER = generate_uid(entropy_srcs=["other"])


def make_other(count: int = 6, **attributes: Any) -> list[Dataset]:
    """A second series, twice as bright."""
    return make_slices(PHANTOM[:count] * 2, SeriesInstanceUID=OTHER, **attributes)


def brightness(folder: Path, **arguments: Any) -> float:
    """1 for the first series, 2 for the other."""
    return float(read_volume(folder, **arguments).voxels[0, 0, 0] / (PHANTOM[0, 0, 0] * SLOPE * FACTOR))


def test_the_pet_is_found_among_ct_and_files_of_other_kinds(tmp_path: Path) -> None:
    write_slices(tmp_path / "a" / "deep", make_slices())
    write_slices(tmp_path / "a", make_ct())
    (tmp_path / "notes.txt").write_text("none of it")
    volume = read_volume(tmp_path)
    assert volume.voxels.shape == PHANTOM.shape
    assert volume.warnings == (f"series: {SERIES} (6 files, 15 mm) was chosen; also there: CT (3 files)",)


def test_the_attenuation_corrected_series_is_read(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices() + make_other(CorrectedImage=["DECY"], SeriesDescription="PET NAC"))
    assert brightness(tmp_path) == pytest.approx(1)


def test_a_series_without_attenuation_correction_is_read_if_it_is_the_only_one(tmp_path: Path) -> None:
    volume = read_volume(write_slices(tmp_path, make_slices(CorrectedImage=["DECY"])))
    assert volume.unit == "bqml"
    assert volume.suv_reason == "not corrected for attenuation (CorrectedImage lacks ATTN)"


def test_the_whole_body_is_read_of_two_corrected_series(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices()[:4] + make_other(SeriesDescription="PET WB"))
    assert brightness(tmp_path) == pytest.approx(2)


def test_a_projection_and_a_dynamic_series_are_passed_over(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices() + make_other(ImageType=["DERIVED", "SECONDARY", "MIP"]))
    assert brightness(tmp_path) == pytest.approx(1)
    write_slices(tmp_path / "b", make_slices() + make_other(SeriesType=["DYNAMIC", "IMAGE"]))
    assert brightness(tmp_path / "b") == pytest.approx(1)


def test_two_alike_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices() + make_other(5, SeriesDescription="PET TOF"))
    with pytest.raises(VolumeError) as caught:
        read_volume(tmp_path)
    assert str(caught.value) == (
        f"2 PET series, choose one by its UID (series): {SERIES} (6 files, 15 mm); {OTHER} (5 files, 12 mm)"
    )
    assert brightness(tmp_path, series=SERIES) == pytest.approx(1)
    assert brightness(tmp_path, series=OTHER) == pytest.approx(2)
    with pytest.raises(VolumeError, match=r"there is no series 1\.2\.3; the PET series are: "):
        read_volume(tmp_path, series="1.2.3")


def test_two_patients_are_never_chosen_between(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices() + make_other(3, PatientID="P2"))
    with pytest.raises(VolumeError, match="2 PET series of 2 patients, choose one"):
        read_volume(tmp_path)


def test_ct_alone_is_no_pet(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"there is no PET series, but CT \(3 files\)"):
        read_volume(write_slices(tmp_path, make_ct()))
    with pytest.raises(VolumeError, match="its objects are no PET images"):
        read_volume(tmp_path, series=make_ct()[0].SeriesInstanceUID)


def test_all_files_damaged(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(128) + b"DICM" + bytes(5))
    with pytest.raises(VolumeError, match="all 1 DICOM files are damaged, such as a"):
        read_volume(tmp_path)


def test_a_single_file_is_a_series_of_one_slice(tmp_path: Path) -> None:
    file = next(write_slices(tmp_path, make_slices()).iterdir())
    with pytest.raises(VolumeError, match="is too short for a volume: 1 of at least 4 slices"):
        read_volume(file)


def test_feet_first_is_told_by_the_orientation(tmp_path: Path) -> None:
    """Rows and columns as in head first, but slices numbered from the head on, and x and y turned by the table."""
    affine = AFFINE @ np.diag([1.0, -1, -1, 1])
    affine[:, 3] = AFFINE @ [0, 4, 6, 1]
    slices = make_slices(PHANTOM[:, ::-1, ::-1], affine, PatientPosition="FFP")
    np.testing.assert_allclose(read_volume(write_slices(tmp_path, slices)).voxels, PHANTOM * SLOPE * FACTOR, rtol=1e-6)
