"""Whole series as makers and archives write them, from the files to the SUV, or to the reason why there is none."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.uid import EnhancedPETImageStorage, ImplicitVRLittleEndian

from mipseg.io.describe import InputDescription, describe_input
from mipseg.suv.times import average_count_time
from tests.io.pet_files import PHANTOM, make_slices

F18 = 6586.2
BED_S = 120.0
SLOPE = 25.0
# 70 kg and 350 MBq, injected at 10:00; scanned at 11:00.
AT_11 = 70_000 / (350e6 * 2 ** (-3600 / F18))
TRACER = {"RadionuclideTotalDose": 350e6, "RadionuclideHalfLife": F18, "RadiopharmaceuticalStartTime": "100000"}


def scan(maker: str, **attributes: Any) -> list[Dataset]:
    """A series of three beds of two slices, whose frames name their own times."""
    fixed: dict[str, Any] = {
        "Manufacturer": maker,
        "RescaleSlope": SLOPE,
        "ActualFrameDuration": str(int(BED_S * 1000)),
    }
    slices = make_slices(**(fixed | TRACER | attributes))
    for index, header in enumerate(slices):
        start = index // 2 * BED_S
        header.AcquisitionTime = f"1100{start % 60:02.0f}" if start < 60 else f"11{start // 60:02.0f}00"
        header.FrameReferenceTime = f"{1000 * (start + average_count_time(BED_S, F18)):.3f}"
    return slices


def described(folder: Path, slices: list[Dataset], *, implicit: bool = False) -> InputDescription:
    for index, header in enumerate(slices):
        if implicit:  # private elements lose their VR in it
            header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        dcmwrite(folder / f"{index}", header, implicit_vr=implicit, little_endian=True)
    return describe_input(folder)


def with_private(slices: list[Dataset], creator: str, group: int, offset: int, value: str) -> list[Dataset]:
    for header in slices:
        header.private_block(group, creator, create=True).add_new(offset, "DS" if group == 0x7053 else "DT", value)
    return slices


def suv_of(found: InputDescription, factor: float) -> None:
    assert (found.suv.available, found.suv.reason) == (True, None)
    assert found.suv.max == pytest.approx(int(PHANTOM.max()) * SLOPE * factor, rel=1e-5)


def test_siemens(tmp_path: Path) -> None:
    found = described(tmp_path, scan("SIEMENS"))
    suv_of(found, AT_11)
    assert (found.warnings, found.uptake_minutes) == ((), 60.0)


@pytest.mark.parametrize("implicit", [False, True])
def test_philips_in_counts(implicit: bool, tmp_path: Path) -> None:
    """Its own factor to SUV, which needs neither weight nor dose; the second calibrates to Bq/ml."""
    slices = scan("Philips Medical Systems", Units="CNTS", PatientWeight=None)
    with_private(slices, "Philips PET Private Group", 0x7053, 0x00, "0.00025")
    suv_of(
        described(tmp_path, with_private(slices, "Philips PET Private Group", 0x7053, 0x09, "4"), implicit=implicit),
        0.00025,
    )


def test_philips_in_counts_without_its_factor_to_suv(tmp_path: Path) -> None:
    slices = with_private(scan("Philips", Units="CNTS"), "Philips PET Private Group", 0x7053, 0x09, "4")
    suv_of(described(tmp_path, slices), 4 * AT_11)


def test_philips_in_becquerel_ignores_its_factor(tmp_path: Path) -> None:
    slices = with_private(scan("Philips"), "Philips PET Private Group", 0x7053, 0x00, "0.00025")
    suv_of(described(tmp_path, slices), AT_11)


@pytest.mark.parametrize("overwritten", ["111111", "000000", "120000"])
def test_a_series_time_that_was_overwritten(overwritten: str, tmp_path: Path) -> None:
    found = described(tmp_path, scan("SIEMENS", SeriesTime=overwritten))
    suv_of(found, AT_11)
    (warning,) = found.warnings
    assert warning.startswith(
        f"reference-time: SeriesTime gives {overwritten[:2]}:{overwritten[2:4]}:{overwritten[4:]}"
    )


def test_the_scan_time_of_ge_where_the_export_begins_late(tmp_path: Path) -> None:
    """The first beds are missing, and the series is dated by its reconstruction."""
    slices = with_private(
        scan("GE MEDICAL SYSTEMS", SeriesTime="130000"), "GEMS_PETD_01", 0x0009, 0x0D, "20250101110000.00"
    )
    found = described(tmp_path, slices[2:])
    assert found.suv.max == pytest.approx(int(PHANTOM[2:].max()) * SLOPE * AT_11, rel=1e-5)
    assert "SeriesTime gives 13:00:00, but GE's scan time 11:00:00 was used" in found.warnings[0]


def test_a_dose_in_mbq_after_midnight(tmp_path: Path) -> None:
    slices = scan("SIEMENS", RadionuclideTotalDose=350.0, RadiopharmaceuticalStartTime="235000")
    for header in slices:
        header.AcquisitionTime = f"00{int(header.AcquisitionTime[2:4]) + 50:02d}00"
        header.SeriesTime = "005000"
    found = described(tmp_path, slices)
    suv_of(found, AT_11)
    assert found.warnings == ("dose-unit: a dose of 350 is taken as MBq",)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PatientWeight": None}, "no body weight (PatientWeight is missing, 0 or not a number)"),
        ({"PatientWeight": 0.0}, "no body weight (PatientWeight is missing, 0 or not a number)"),
        ({"Units": "CNTS"}, "Units are CNTS, and neither (7053,1000) nor (7053,1009) calibrates them"),
        (
            {"Units": "PROPCPS"},
            "Units are PROPCPS (proportional to counts per second); BQML, GML or CNTS of Philips are needed",
        ),
        ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation (CorrectedImage lacks ATTN)"),
        ({"SOPClassUID": EnhancedPETImageStorage}, "enhanced PET (one file of many frames) is not supported"),
        ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "dynamic PET (several images of each place) is not supported"),
        ({"ManufacturerModelName": "Symbia Intevo"}, "SPECT, not PET: ManufacturerModelName has 'Symbia'"),
        ({"ManufacturerModelName": "Discovery NM630"}, "SPECT, not PET: ManufacturerModelName has 'NM630'"),
        ({"ManufacturerModelName": "Tandem_870_DR"}, "SPECT, not PET: ManufacturerModelName has 'Tandem'"),
        ({"ManufacturerModelName": "VERITON"}, "SPECT, not PET: ManufacturerModelName has 'VERITON'"),
        ({"CollimatorType": "PARA"}, "SPECT, not PET: a collimator of type PARA"),
        ({"SeriesDescription": "FDG_SPECT_AC"}, "SPECT, not PET: SeriesDescription has 'SPECT'"),
        ({"RadionuclideHalfLife": 21_624.0}, "SPECT, not PET: Tc-99m emits no positrons"),
        ({"RescaleSlope": 4e6}, "implausible: the median SUV of the body would be"),
    ],
)
@pytest.mark.parametrize("maker", ["SIEMENS", "Philips", "GE MEDICAL SYSTEMS"])
def test_no_suv_is_said_with_its_reason(maker: str, attributes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    suv = described(tmp_path, scan(maker, **attributes)).suv
    assert suv.reason is not None
    assert suv.reason.startswith(reason)
    assert (suv.available, suv.factor, suv.min, suv.median, suv.max) == (False, None, None, None, None)


def test_suv_in_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    header = scan("SIEMENS", Units="GML", RescaleSlope=0.01, PatientWeight=None)
    for each in header:
        each[0x0054, 0x1006] = DataElement((0x0054, 0x1006), "CS", "BW")
    found = described(tmp_path, header)
    assert found.suv.max == pytest.approx(int(PHANTOM.max()) * 0.01, rel=1e-5)
