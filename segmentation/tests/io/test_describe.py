"""What an input is said to be."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import EnhancedPETImageStorage

from mipseg.errors import VolumeError
from mipseg.io.describe import InputDescription, SuvDescription, describe_input
from tests.io.pet_files import FACTOR, PHANTOM, SERIES, SLOPE, make_ct, make_slices, turned, write_nifti, write_slices

HOTTEST = PHANTOM.max() * SLOPE * FACTOR
COLDEST = PHANTOM.min() * SLOPE * FACTOR
MEDIAN = float(np.median(PHANTOM)) * SLOPE * FACTOR


def describe(folder: Path, **attributes: Any) -> InputDescription:
    return describe_input(write_slices(folder, make_slices(**attributes)))


def test_a_dicom_series(tmp_path: Path) -> None:
    found = describe(tmp_path, ManufacturerModelName="Model", PatientPosition="HFS")
    assert asdict(found) == {
        "kind": "dicom",
        "modality": "PT",
        "maker": "Maker Model",
        "series": SERIES,
        "description": "PET AC",
        "size": (7, 5, 6),
        "spacing_mm": (2.5, 2.0, 3.0),
        "orientation": "LPS",
        "patient_position": "HFS",
        "tracer": None,
        "uptake_minutes": 60.0,
        "suv": {
            "available": True,
            "reason": None,
            "factor": pytest.approx(SLOPE * FACTOR),
            "min": pytest.approx(COLDEST),
            "median": pytest.approx(MEDIAN),
            "max": pytest.approx(HOTTEST),
        },
        "warnings": (),
    }
    json.dumps(asdict(found), allow_nan=False)


def test_slopes_of_their_own_leave_no_single_factor(tmp_path: Path) -> None:
    slices = make_slices()
    slices[1].RescaleSlope = SLOPE * 1.01
    suv = describe_input(write_slices(tmp_path, slices)).suv
    assert suv.available
    assert suv.factor is None


def test_air_is_left_out_of_minimum_and_median(tmp_path: Path) -> None:
    slices = make_slices(np.concatenate([PHANTOM, np.zeros((20, 5, 7), np.int16)]))
    suv = describe_input(write_slices(tmp_path, slices)).suv
    assert (suv.min, suv.median, suv.max) == pytest.approx((COLDEST, MEDIAN, HOTTEST))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PatientWeight": 0}, "no body weight (PatientWeight is missing, 0 or not a number)"),
        (
            {"RadiopharmaceuticalInformationSequence": None},
            "no dose (RadionuclideTotalDose is missing, 0 or not a number)",
        ),
        ({"Units": "CPS"}, "Units are CPS (counts per second); BQML, GML or CNTS of Philips are needed"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation (CorrectedImage lacks ATTN)"),
        ({"SOPClassUID": EnhancedPETImageStorage}, "enhanced PET (one file of many frames) is not supported"),
        ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "dynamic PET (several images of each place) is not supported"),
        ({"CollimatorType": "PARA"}, "SPECT, not PET: a collimator of type PARA"),
    ],
)
def test_without_suv_there_is_the_reason_and_no_number(attributes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    found = describe(tmp_path, **attributes)
    assert found.suv == SuvDescription(False, reason)
    assert (found.modality, found.size, found.maker) == ("PT", (7, 5, 6), "Maker")


def test_the_given_weight_counts(tmp_path: Path) -> None:
    write_slices(tmp_path, make_slices(PatientWeight=0))
    assert describe_input(tmp_path, weight_kg=35).suv.max == pytest.approx(HOTTEST / 2)


def test_the_tracer_and_its_nuclide(tmp_path: Path) -> None:
    slices = make_slices(RadionuclideHalfLife=6586.2)
    for header in slices:
        item = header.RadiopharmaceuticalInformationSequence[0]
        item.RadionuclideHalfLife, item.Radiopharmaceutical = 6586.2, "FDG"
    assert describe_input(write_slices(tmp_path, slices)).tracer == "F-18, FDG"


@pytest.mark.parametrize(
    ("axes", "flips", "letters", "size"),
    [
        ((2, 1, 0), (True, True, False), "RAS", (7, 5, 6)),
        ((2, 1, 0), (False, False, False), "LPS", (7, 5, 6)),
        ((1, 0, 2), (True, True, True), "AIR", (5, 6, 7)),
    ],
)
def test_the_orientation_of_a_nifti_file(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool], letters: str, size: tuple[int, ...], tmp_path: Path
) -> None:
    array, affine = turned(axes, flips)
    found = describe_input(write_nifti(tmp_path / "a.nii", array * SLOPE * FACTOR, affine))
    assert (found.kind, found.orientation, found.size) == ("nifti", letters, size)
    assert found.suv.max == pytest.approx(HOTTEST)
    assert found.suv.factor is None
    assert (found.modality, found.uptake_minutes) == (None, None)


def test_a_dicom_series_of_coronal_slices(tmp_path: Path) -> None:
    slices = make_slices(*turned((1, 0, 2), (True, True, False)))
    found = describe_input(write_slices(tmp_path, slices))
    assert (found.orientation, found.size) == ("LIP", (7, 6, 5))
    assert found.spacing_mm == pytest.approx((2.5, 3.0, 2.0))


def test_an_image(tmp_path: Path) -> None:
    Image.new("L", (40, 50)).save(tmp_path / "a.png")
    found = describe_input(tmp_path / "a.png")
    assert (found.kind, found.size, found.spacing_mm) == ("image", (40, 50), None)
    assert found.suv == SuvDescription(False, "a PNG or JPEG shows shares of a window, not SUV")


def test_what_is_no_pet_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="no PET series"):
        describe_input(write_slices(tmp_path, make_ct()))
