"""What makes a DICOM series a static PET in SUV, and what is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    EnhancedPETImageStorage,
    NuclearMedicineImageStorage,
)

from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_slices, read_slices, refusal_of

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)


def test_weight_and_dose_can_be_given(tmp_path: Path) -> None:
    slices = make_slices(PatientWeight=None)
    volume = read_slices(tmp_path / "a", slices)
    assert (volume.unit, volume.suv_reason) == ("bqml", "no body weight (PatientWeight is missing, 0 or not a number)")
    np.testing.assert_allclose(volume.voxels, PHANTOM * SLOPE, rtol=1e-6)
    volume = read_volume(tmp_path / "a", weight_kg=140.0, dose_bq=35e6)
    assert volume.unit == "suv"
    np.testing.assert_allclose(volume.voxels, SUV * 4, rtol=1e-6)


def test_an_impossible_suv_is_refused(tmp_path: Path) -> None:
    volume = read_slices(tmp_path, make_slices(RescaleSlope=5e4))
    assert volume.unit == "bqml"
    assert volume.suv_reason.startswith("implausible: the median SUV of the body would be 1")
    np.testing.assert_allclose(volume.voxels, PHANTOM * 5e4, rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"SOPClassUID": EnhancedPETImageStorage}, "enhanced PET (one file of many frames) is not supported"),
        ({"SOPClassUID": NuclearMedicineImageStorage}, "SPECT, not PET: a nuclear medicine object"),
        ({"SeriesDescription": "Tc-99m MDP"}, "SPECT, not PET: Tc-99m emits no positrons"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO"]}, "SPECT, not PET: ImageType has TOMO"),
        ({"ManufacturerModelName": "Symbia T6"}, "SPECT, not PET: ManufacturerModelName has 'Symbia'"),
        ({"CollimatorType": "PARA"}, "SPECT, not PET: a collimator of type PARA"),
        ({"SeriesDescription": "Bone SPECT AC"}, "SPECT, not PET: SeriesDescription has 'SPECT'"),
        ({"Modality": "MR"}, "its Modality is MR, not PT"),
        ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "dynamic PET (several images of each place) is not supported"),
        ({"SeriesType": ["GATED", "IMAGE"]}, "gated PET"),
        ({"NumberOfFrames": 6}, "a PET file with several frames"),
        ({"RescaleSlope": None}, "has no RescaleSlope above 0"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "6 slices without ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "which is not a pair of directions"),
        ({"PixelSpacing": [0, 0]}, "a spacing of 3 x 0 x 0 mm"),
        ({"Rows": 60_000, "Columns": 60_000}, "claims 6 x 60000 x 60000 voxels"),
        ({"Rows": 6}, "can't be decoded; the file is cut off or damaged"),
    ],
)
def test_a_series_that_is_no_static_pet_volume_is_refused_by_name(
    attributes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    assert text in refusal_of(tmp_path, make_slices(**attributes))


@pytest.mark.parametrize(("half_life", "name"), [(21_672.0, None), (6588.0, "99mTc-MDP")])
def test_a_tracer_without_positrons_is_spect(half_life: float, name: str | None, tmp_path: Path) -> None:
    slices = make_slices(RadionuclideHalfLife=half_life)
    if name:
        for header in slices:
            header.RadiopharmaceuticalInformationSequence[0].Radiopharmaceutical = name
    assert "SPECT, not PET: Tc-99m emits no positrons" in refusal_of(tmp_path, slices)


@pytest.mark.parametrize("description", ["Forte PET AC", "WB precedence high", "infinia millennium tandem"])
def test_words_that_cameras_are_called_by_as_well(description: str, tmp_path: Path) -> None:
    slices = make_slices(SeriesDescription=description, StudyDescription=description)
    assert read_slices(tmp_path, slices).unit == "suv"


@pytest.mark.parametrize(
    ("attributes", "given", "found"),
    [
        ({"PatientWeight": 80.0, "PatientSize": 1.8}, None, (80.0, 1.8)),
        ({"PatientWeight": 80.0, "PatientSize": 180.0}, 60.0, (60.0, None)),
        ({"PatientWeight": None}, 60.0, (60.0, None)),
        ({"PatientWeight": None}, None, (None, None)),
        ({"PatientWeight": 80_000.0, "PatientSize": 1.8}, None, (None, 1.8)),
    ],
)
def test_weight_and_height_are_those_that_suv_is_computed_with(
    attributes: dict[str, Any], given: float | None, found: tuple[float | None, float | None], tmp_path: Path
) -> None:
    volume = read_slices(tmp_path, make_slices(**attributes), weight_kg=given)
    assert (volume.weight_kg, volume.height_m) == found


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("18F-FDG", ()),
        (None, ()),
        ("[18F]PSMA-1007", ("tracer: the header names '[18F]PSMA-1007'; the model knows FDG only",)),
    ],
)
def test_another_tracer_than_fdg_is_said(name: str | None, warnings: tuple[str, ...], tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        header.RadiopharmaceuticalInformationSequence[0].Radiopharmaceutical = name
    found = read_slices(tmp_path, slices).warnings
    assert tuple(said for said in found if said.startswith("tracer")) == warnings
