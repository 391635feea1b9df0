"""Slices of a DICOM series: their order and places, and what makes no even stack is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    generate_uid,
)

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_slices, read_slices, refusal_of, set_attribute, write_slices

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)


def at_heights(*heights: float) -> list[Dataset]:
    """A slice of the phantom at each of the heights, in mm."""
    slices = make_slices(PHANTOM[: len(heights)])
    for header, height in zip(slices, heights, strict=True):
        header.ImagePositionPatient = [*header.ImagePositionPatient[:2], height]
    return slices


def test_slices_that_came_twice_are_left_out_and_said(tmp_path: Path) -> None:
    slices = make_slices()
    again = make_slices()[2:4]
    again[1].SOPInstanceUID = generate_uid(entropy_srcs=["other name, same pixels"])
    volume = read_slices(tmp_path, slices + again)
    np.testing.assert_allclose(volume.voxels, SUV, rtol=1e-6)
    assert volume.warnings == ("duplicates: 2 slices came more than once and were left out",)


def test_nearly_even_slices_stay_as_they_are(tmp_path: Path) -> None:
    volume = read_slices(tmp_path, at_heights(0.0, 3.27, 6.54, 9.83, 13.02))
    np.testing.assert_allclose(volume.voxels, SUV[:5], rtol=1e-6)
    assert volume.spacing[0] == pytest.approx(13.02 / 4)
    (warning,) = volume.warnings
    assert (
        warning == "uneven-slices: distances between slices are 3.19 to 3.29 mm; taken as 3.255 mm, at most 0.06 mm off"
    )


def test_uneven_slices_are_resampled_linearly_and_led_back(tmp_path: Path) -> None:
    volume = read_slices(tmp_path, at_heights(0.0, 4.0, 8.0, 13.0, 17.0))
    wanted = [SUV[0], SUV[1], SUV[2], SUV[2] * 0.2 + SUV[3] * 0.8, SUV[3] * 0.25 + SUV[4] * 0.75]
    assert volume.spacing[0] == 4
    np.testing.assert_allclose(volume.voxels, wanted, rtol=1e-5)
    assert volume.warnings == (
        "resampled: distances between slices are 4.00 to 5.00 mm; interpolated linearly to 4.000 mm",
    )
    marks = np.zeros(volume.voxels.shape, bool)
    marks[3] = True
    restored = volume.source.restore(marks)
    assert restored.shape == (5, 5, 7)
    assert restored.any(axis=(1, 2)).tolist() == [False, False, False, True, False]


def test_dynamic_pet_that_does_not_say_so(tmp_path: Path) -> None:
    later = make_slices(FrameReferenceTime=60_000.0)
    for header in later:
        header.SOPInstanceUID = generate_uid()
    assert "several images of one place at different times" in refusal_of(tmp_path, make_slices() + later)


def test_two_series_under_one_uid(tmp_path: Path) -> None:
    other = make_slices(PHANTOM + 1)
    for header in other:
        header.SOPInstanceUID = generate_uid()
    assert "has two different slices at one place" in refusal_of(tmp_path, make_slices() + other)


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("PatientID", "P2", "mixes several patients (2)"),
        ("Units", "CNTS", "mixes slices of different Units: BQML, CNTS"),
        ("FrameOfReferenceUID", "1.2.3", "mixes slices of different FrameOfReferenceUID"),
        ("PixelSpacing", [2.0, 2.6], "mixes slices of different PixelSpacing"),
        (
            "ImageOrientationPatient",
            [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
            "mixes slices of different ImageOrientationPatient",
        ),
    ],
)
def test_slices_that_do_not_belong_together(keyword: str, value: Any, text: str, tmp_path: Path) -> None:
    slices = make_slices()
    set_attribute(slices[2], keyword, value)
    assert text in refusal_of(tmp_path, slices)


def test_missing_slices_are_placed(tmp_path: Path) -> None:
    text = refusal_of(tmp_path, at_heights(0, 3, 6, 15, 18, 21))
    assert text == "about 2 slices are missing, between 6.0 and 15.0 mm along the normal"


def test_a_file_that_is_cut_within_its_header_leaves_a_gap_that_names_it(tmp_path: Path) -> None:
    (file,) = (f for f in write_slices(tmp_path, make_slices()).iterdir() if dcmread(f).InstanceNumber == 3)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(VolumeError, match=f"^a slice is missing.*; 1 DICOM file can't be read, such as {file.name}$"):
        read_volume(tmp_path)


def test_slices_that_are_missing_at_an_end_are_said(tmp_path: Path) -> None:
    volume = read_slices(tmp_path, make_slices(NumberOfSlices=6)[:4])
    assert volume.warnings == ("fewer-slices: the series has 6 slices by its header, of which 4 are there",)


@pytest.mark.parametrize(("thickness", "count"), [(1.5, None), (1.7, None), (1.5, 6), ("thin", None)])
def test_slices_thinner_than_their_distance_are_said(thickness: Any, count: int | None, tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        if count is not None:
            header.NumberOfSlices = count
        header.add_new("SliceThickness", "DS" if thickness != "thin" else "LO", thickness)
    said = "fewer-slices: slices are 1.50 mm thick, but 3.00 mm apart; some may be missing"
    assert read_slices(tmp_path, slices).warnings == ((said,) if (thickness, count) == (1.5, None) else ())


@pytest.mark.parametrize("shift", [0.9, 1.1])
def test_slices_may_lie_beside_each_other_by_half_a_pixel(shift: float, tmp_path: Path) -> None:
    slices = make_slices()  # the smaller side of their pixels is 2 mm
    x, y, z = slices[3].ImagePositionPatient
    slices[3].ImagePositionPatient = [x, y + shift, z]
    if shift > 1:
        assert "do not lie straight above each other" in refusal_of(tmp_path, slices)
    else:
        assert read_slices(tmp_path, slices).unit == "suv"


@pytest.mark.parametrize("count", [1, 3])
def test_few_slices(count: int, tmp_path: Path) -> None:
    text = refusal_of(tmp_path, make_slices()[:count])
    assert text.endswith(f"is too short for a volume: {count} of at least 4 slices")
