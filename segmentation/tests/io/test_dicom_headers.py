"""DICOM headers as makers write them: private elements, odd dates, what SUV needs."""

from datetime import date, datetime, time
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from mipseg.io.dicom_headers import number, numbers, suv_header, text, texts
from mipseg.suv.factor import NoSuv, SuvFactor, suv_factor
from tests.io.pet_files import FACTOR, make_slices, set_attribute


def headers(**attributes: Any) -> list[Dataset]:
    return make_slices(**attributes)


def private(slices: list[Dataset], tag: tuple[int, int], vr: str, value: Any) -> list[Dataset]:
    for header in slices:
        header[tag] = DataElement(tag, vr, value)
    return slices


def factor(slices: list[Dataset]) -> float:
    found = suv_factor(suv_header(slices))
    assert isinstance(found, SuvFactor)
    assert len(set(found.factors)) == 1
    return found.factors[0]


def test_a_plain_header() -> None:
    found = suv_header(headers())
    assert (found.units, found.decay_correction, found.weight_kg, found.dose) == ("BQML", "START", 70.0, 70e6)
    assert found.corrections == {"ATTN", "DECY"}
    assert found.times.injected_at == time(10)
    assert found.times.series_start == datetime(2025, 1, 1, 11)
    assert factor(headers()) == pytest.approx(FACTOR)


def test_a_correction_counts_only_if_every_slice_has_it() -> None:
    slices = headers()
    slices[3].CorrectedImage = "ATTN"
    assert suv_header(slices).corrections == {"ATTN"}


@pytest.mark.parametrize(("vr", "value"), [("DS", "0.25"), ("UN", b"0.25 "), ("LO", "0.25")])
def test_philips_by_its_usual_place_whatever_the_vr(vr: str, value: Any) -> None:
    slices = private(headers(Manufacturer="Philips Medical Systems", Units="CNTS"), (0x7053, 0x1000), vr, value)
    assert factor(slices) == 0.25


def test_philips_by_its_creator_in_another_block() -> None:
    slices = headers(Manufacturer="anonymised", Units="CNTS")
    for header in slices:
        header.private_block(0x7053, "Someone", create=True).add_new(0x00, "DS", "7")
        header.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x09, "DS", "3")
        assert (0x7053, 0x1109) in header
    assert factor(slices) == pytest.approx(3 * FACTOR)


def test_philips_where_maker_and_creator_were_removed() -> None:
    slices = private(headers(Manufacturer=None, Units="CNTS"), (0x7053, 0x1000), "DS", "0.25")
    assert factor(slices) == 0.25
    for header in slices:
        header.add_new((0x7053, 0x0010), "LO", "Someone")
    assert suv_header(slices).philips_suv == (None,) * len(slices)


@pytest.mark.parametrize(
    ("keyword", "changed", "reason"),
    [
        ("PatientWeight", 50.0, "the slices differ in PatientWeight"),
        ("RadionuclideTotalDose", 50e6, "the slices differ in RadionuclideTotalDose"),
        ("RadiopharmaceuticalStartTime", "095959", "the slices differ in RadiopharmaceuticalStartTime"),
    ],
)
def test_slices_that_differ_in_what_the_suv_is_made_of(keyword: str, changed: Any, reason: str) -> None:
    slices = headers()
    set_attribute(slices[2], keyword, changed)
    assert suv_factor(suv_header(slices)) == NoSuv(reason)
    given = {"PatientWeight": {"weight_kg": 70.0}, "RadionuclideTotalDose": {"dose_bq": 70e6}}.get(keyword)
    if given:  # what the user says counts
        assert isinstance(suv_factor(suv_header(slices, **given)), SuvFactor)


def test_more_than_one_injection_is_no_dose() -> None:
    slices = headers()
    for header in slices:
        header.RadiopharmaceuticalInformationSequence.append(Dataset())
    assert suv_factor(suv_header(slices)) == NoSuv(
        "there were 2 injections (RadiopharmaceuticalInformationSequence has as many items)"
    )


@pytest.mark.parametrize(
    ("at", "zone", "wanted"),
    [("103000", None, time(10, 30)), (None, None, time(9)), ("103000", "+0100", time(10)), (None, "+0100", time(10))],
)
def test_an_offset_of_the_injection_counts_where_that_of_the_scan_is_known(
    at: str | None, zone: str | None, wanted: time
) -> None:
    tracer = {"RadiopharmaceuticalStartDateTime": "20250101090000+0000", "RadiopharmaceuticalStartTime": at}
    slices = headers(**tracer)
    for header in slices:
        header.TimezoneOffsetFromUTC = zone
    assert suv_header(slices).times.injected == datetime.combine(date(2025, 1, 1), wanted)


def test_times_without_any_date_are_compared_within_a_day() -> None:
    assert factor(headers(SeriesDate=None, AcquisitionDate=None)) == pytest.approx(FACTOR)


def test_the_same_element_of_another_maker_means_something_else() -> None:
    slices = private(headers(Units="CNTS"), (0x7053, 0x1000), "DS", "0.25")
    assert not any(suv_header(slices).philips_suv)


@pytest.mark.parametrize(("vr", "value"), [("DT", "20250101105900.00"), ("UN", b"20250101105900.00\0")])
def test_the_scan_time_of_ge(vr: str, value: Any) -> None:
    slices = private(headers(Manufacturer="GE MEDICAL SYSTEMS"), (0x0009, 0x100D), vr, value)
    assert suv_header(slices).times.ge_scan_start == datetime(2025, 1, 1, 10, 59)
    assert suv_header(private(headers(), (0x0009, 0x100D), vr, value)).times.ge_scan_start is None


@pytest.mark.parametrize(
    ("written", "zone", "wanted"),
    [
        ("20250101100000.000000", None, datetime(2025, 1, 1, 10)),
        ("202501011000", None, datetime(2025, 1, 1, 10)),
        ("20250101100000+0100", None, datetime(2025, 1, 1, 10)),
        ("20250101090000+0000", "+0100", datetime(2025, 1, 1, 10)),
        ("20250101040000-0500", "+0100", datetime(2025, 1, 1, 10)),
        ("20250101", None, None),
        ("20251301100000", None, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_injection_with_date(written: str, zone: str | None, wanted: datetime | None) -> None:
    slices = headers(RadiopharmaceuticalStartDateTime=written)
    if zone:
        slices[0].TimezoneOffsetFromUTC = zone
    assert suv_header(slices).times.injected == wanted


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("103015.25", time(10, 30, 15, 250_000)), ("1030", time(10, 30)), ("10:30:15", time(10, 30, 15)), ("10", time(10)),
     ("25", None), ("103060", time(10, 30, 59)), ("soon", None), ("", None)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_times_of_the_day(written: str, wanted: time | None) -> None:
    assert suv_header(headers(RadiopharmaceuticalStartTime=written)).times.injected_at == wanted


def test_the_acquisition_by_its_date_and_time_in_one() -> None:
    slices = headers(AcquisitionTime=None, AcquisitionDateTime="20250101105000")
    assert suv_header(slices).times.first_acquired == datetime(2025, 1, 1, 10, 50)


def test_an_acquisition_without_date_has_that_of_the_series() -> None:
    assert suv_header(headers(AcquisitionDate=None)).times.first_acquired == datetime(2025, 1, 1, 11)


def test_no_tracer_at_all() -> None:
    found = suv_header(headers(RadiopharmaceuticalInformationSequence=None))
    assert (found.dose, found.half_life_s, found.times.injected_at, found.tracer) == (None, None, None, ())


def test_values_that_are_broken_are_missing() -> None:
    header = headers()[0]
    header[0x00101030] = DataElement(0x00101030, "LO", "heavy")
    set_attribute(header, "PixelSpacing", [1.0])
    assert number(header, "PatientWeight") is None
    assert numbers(header, "PixelSpacing", 2) is None
    assert (text(header, "StationName"), texts(header, "StationName")) == ("", ())
