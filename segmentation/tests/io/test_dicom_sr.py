"""The report: what it says of each lesion, and of a patient without any."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from mipseg.io.dicom_out import source_images
from mipseg.io.dicom_sr import make_dicom_report
from tests.io.test_dicom_seg import MAKER, errors_of, pet_volume, written_seg

MEASURES: dict[int, dict[str, float | None]] = {
    1: {"mtv_ml": 12.5, "suv_max": 8.0, "suv_mean": 4.0, "suv_peak": 7.5, "tlg_g": 50.0},
    2: {"mtv_ml": 0.02, "suv_max": 3.0, "suv_mean": 3.0, "suv_peak": None, "tlg_g": 0.06},
}
PATIENT: dict[str, float | None] = {"lesions": 2, "total_mtv_ml": 12.52, "total_tlg_g": 50.06}
NONE: dict[str, float | None] = {"lesions": 0, "total_mtv_ml": 0.0, "total_tlg_g": None}
SUV, MEAN, MAXIMUM, PEAK, TOTAL = "g/ml{SUVbw}", "373098007", "56851009", "126031", "255619001"
Measured = dict[tuple[str, ...], float]


def written_report(folder: Path, *, with_lesions: bool) -> Dataset:
    volume = pet_volume(folder / "pet")
    images = source_images(volume.source)
    assert not isinstance(images, str)
    segmentation = written_seg(folder / "seg.dcm", volume) if with_lesions else None
    patient, lesions = (PATIENT, MEASURES) if with_lesions else (NONE, {})
    make_dicom_report(segmentation, patient, lesions, images, MAKER).save_as(folder / "report.dcm")
    return dcmread(folder / "report.dcm")


def groups_of(report: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Each group of measurements (PS3.16, TID 1501 and 1411) and its tracking identifier, without highdicom."""
    (measurements,) = [item for item in report.ContentSequence if code(item) == "126010"]
    for group in measurements.ContentSequence:
        (name,) = [item.TextValue for item in group.ContentSequence if code(item) == "112039"]
        yield name, group


def measured(group: Dataset) -> Measured:
    """Values by concept, derivation and unit."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            (value,) = item.MeasuredValueSequence
            derived = [concept(inner) for inner in item.get("ContentSequence", []) if code(inner) == "121401"]
            found[code(item), *derived, value.MeasurementUnitsCodeSequence[0].CodeValue] = float(value.NumericValue)
    return found


def code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def concept(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def test_each_measure_of_each_segment(tmp_path: Path) -> None:
    report = written_report(tmp_path, with_lesions=True)
    segmentation = dcmread(tmp_path / "seg.dcm")
    found = {}
    for name, group in list(groups_of(report))[1:]:
        (segment,) = [item for item in group.ContentSequence if code(item) == "121191"]
        (reference,) = segment.ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert f"Lesion {reference.ReferencedSegmentNumber}" == name
        found[name] = measured(group)
    first = {
        ("126032", "ml"): 12.5,
        ("126401", MAXIMUM, SUV): 8.0,
        ("126401", MEAN, SUV): 4.0,
        ("126401", PEAK, SUV): 7.5,
        ("126033", "g"): 50.0,
    }
    assert found["Lesion 1"] == first
    assert set(first) - set(found["Lesion 2"]) == {("126401", PEAK, SUV)}


@pytest.mark.parametrize(
    ("with_lesions", "answer", "wanted"),
    [
        (True, "260373001", {("246206008", "1"): 2, ("126032", TOTAL, "ml"): 12.52, ("126033", TOTAL, "g"): 50.06}),
        (False, "260415000", {("246206008", "1"): 0, ("126032", TOTAL, "ml"): 0}),
    ],
    ids=["detected", "not detected"],
)
def test_whether_any_tumour_was_detected(with_lesions: bool, answer: str, wanted: Measured, tmp_path: Path) -> None:
    report = written_report(tmp_path, with_lesions=with_lesions)
    groups = list(groups_of(report))
    assert len(groups) == (3 if with_lesions else 1)
    name, group = groups[0]
    assert name == "All lesions"
    assert [concept(item) for item in group.ContentSequence if code(item) == "121052"] == [answer]
    assert measured(group) == wanted


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("with_lesions", [True, False])
def test_dciodvfy_finds_no_error(with_lesions: bool, tmp_path: Path) -> None:
    written_report(tmp_path, with_lesions=with_lesions)
    assert errors_of(tmp_path / "report.dcm") == []
