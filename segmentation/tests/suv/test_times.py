"""When the tracer was injected and to which moment images are corrected, where headers disagree."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from mipseg.suv.times import Frame, NoSuvError, Times, average_count_time, find_injection, find_reference

F18 = 6586.2
DAY = datetime(2025, 1, 1)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def at(hour: int, minute: int = 0, second: float = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute, seconds=second)


def times(series: datetime | None, frames: Any, ge: datetime | None = None) -> Times:
    return Times(None, time(10), series, ge, tuple(frames))


def beds(start: datetime, count: int = 4, first_reference: float = 0.0, minutes: float = 4) -> list[Frame]:
    """Frames of one bed after the other."""
    step = 60 * minutes
    return [Frame(start + index * step * SECOND, first_reference + index * step, step) for index in range(count)]


def reference(of: Times, injected: datetime = DAY + timedelta(hours=10)) -> tuple[datetime, list[str]]:
    warnings: list[str] = []
    return find_reference(of, injected, F18, warnings), warnings


def test_the_mean_activity_comes_a_little_before_the_middle() -> None:
    # ln(x / (1 - e^-x)) = x/2 - x²/24 + ..., in units of the mean life.
    assert average_count_time(300, F18) == pytest.approx(150 - 300**2 / 24 * 0.693147 / F18, abs=1e-3)
    assert average_count_time(0, F18) == 0


def test_both_ways_agree() -> None:
    middle = average_count_time(240, F18)
    assert reference(times(at(11), beds(at(11), first_reference=middle))) == (at(11), [])


def test_frames_whose_reference_counts_from_their_start() -> None:
    assert reference(times(at(11), beds(at(11)))) == (at(11), [])


def test_frames_that_lead_back_to_before_the_injection_are_not_believed() -> None:
    found, (warning, *_) = reference(times(at(10, 59), beds(at(11), first_reference=7200)))
    assert found == at(10, 59)
    assert warning == "reference-time: AcquisitionTime and FrameReferenceTime of the slices contradict each other"


def test_a_series_time_after_the_acquisition_is_that_of_a_reconstruction() -> None:
    found, (warning,) = reference(times(at(12), beds(at(11))))
    assert found == at(11)
    assert warning == (
        "reference-time: SeriesTime gives 12:00:00, but AcquisitionTime less FrameReferenceTime 11:00:00 was used;"
        " SUV 46.1% apart"
    )


def test_an_acquisition_that_began_later_is_led_back_to_the_series() -> None:
    """Only the second half of the beds was exported."""
    exported = beds(at(11), first_reference=average_count_time(240, F18))[2:]
    assert reference(times(at(12), exported))[0] == at(11)


@pytest.mark.parametrize("overwritten", [at(11, 11, 11), at(12), at(0)])
def test_an_overwritten_series_time_is_told_by_the_acquisition(overwritten: datetime) -> None:
    found, warnings = reference(times(overwritten, beds(at(14, 2))), injected=at(11))
    assert found == at(14, 2)
    assert len(warnings) == 1


def test_an_overwritten_series_time_that_is_near_is_told_by_the_frames() -> None:
    found, warnings = reference(times(at(11, 11, 11), beds(at(11, 20))))
    assert found == at(11, 20)
    assert "SeriesTime gives 11:11:11" in warnings[0]


def test_without_frames_a_series_time_is_believed_for_half_an_hour() -> None:
    frames = [Frame(at(11, 30), None, None)]
    found, warnings = reference(times(at(11), frames))
    assert (found, len(warnings)) == (at(11), 1)
    assert reference(times(at(10, 59), frames))[0] == at(11, 30)


def test_an_overwritten_series_time_is_not_believed_without_frames_either() -> None:
    found, (warning,) = reference(times(at(11, 11, 11), [Frame(at(11, 20), None, None)]))
    assert found == at(11, 20)
    assert warning.startswith("reference-time: SeriesTime gives 11:11:11, but AcquisitionTime 11:20:00 was used")


def test_a_series_whose_times_were_all_overwritten_has_none() -> None:
    moment = at(11, 11, 11)
    of = times(moment, [Frame(moment, None, None)] * 3)
    with pytest.raises(NoSuvError, match="all times of the scan are 11:11:11; the real ones were written over"):
        find_injection(of, F18, [])
    for real in (times(at(11, 11, 5), [Frame(moment, None, None)] * 3), times(moment, [Frame(None, None, None)])):
        assert find_injection(real, F18, []) == at(10)


def test_an_injection_whose_time_was_overwritten() -> None:
    placeholder = time(11, 11, 11)
    of = replace(times(at(11, 11, 11), beds(at(12, 30))), injected_at=placeholder)
    with pytest.raises(NoSuvError, match="injection and series are both at 11:11:11; the real times were written over"):
        find_injection(of, F18, [])
    warnings: list[str] = []
    of = replace(of, series_start=at(12, 30))
    assert find_injection(of, F18, warnings) == at(11, 11, 11)
    assert warnings == ["injection-time: 11:11:11 may have been written over the real one"]


def test_ge_confirms_a_series_time_against_the_frames() -> None:
    frames = [Frame(at(11, 30), 150.0, 300.0)]
    found, (warning,) = reference(times(at(11), frames, ge=at(11)))
    assert found == at(11)
    assert "AcquisitionTime gives 11:29:59, but SeriesTime 11:00:00 was used; SUV 20.9% apart" in warning


def test_ge_is_used_where_the_series_time_was_changed() -> None:
    assert reference(times(at(15), beds(at(11, 4))[1:], ge=at(11)))[0] == at(11)
    assert reference(times(at(10, 30), [Frame(at(11, 2), None, None)], ge=at(11)))[0] == at(11)


def test_acquisition_times_that_are_all_the_series_own_are_no_frame_times() -> None:
    frames = [Frame(at(11), 243.0 * index, 240.0) for index in range(6)]
    found, warnings = reference(times(at(11), frames))
    assert found == at(11)
    assert warnings == ["reference-time: AcquisitionTime and FrameReferenceTime of the slices contradict each other"]


def test_dates_that_were_shifted_do_not_matter_between_series_and_acquisition() -> None:
    assert reference(times(at(11) - timedelta(days=900), beds(at(11)))) == (at(11), [])


def test_a_scan_across_midnight() -> None:
    start = at(23, 58)
    assert reference(times(start, beds(start)), injected=at(23)) == (start, [])


def test_a_series_time_alone() -> None:
    assert reference(times(at(11), [Frame(None, None, None)])) == (at(11), [])
    with pytest.raises(NoSuvError, match="lies before the injection"):
        reference(times(at(9), [Frame(None, None, None)]))


def injection(scan: datetime, injected: datetime | None, at_time: time | None, half_life: float = F18) -> Any:
    warnings: list[str] = []
    of = Times(injected, at_time, scan, None, (Frame(scan, None, None),))
    return find_injection(of, half_life, warnings), warnings


def test_the_injection_with_date_is_preferred() -> None:
    assert injection(at(11), at(10), time(10)) == (at(10), [])
    found, (warning,) = injection(at(11), at(10), time(9))
    assert found == at(10)
    assert warning == (
        "injection-time: RadiopharmaceuticalStartTime gives 09:00:00, but RadiopharmaceuticalStartDateTime 10:00:00 was"
        " used; SUV 31.5% apart"
    )


def test_midnight_between_injection_and_scan() -> None:
    assert injection(at(0, 30), None, time(23, 30)) == (at(0, 30) - 60 * MINUTE, [])


def test_a_shifted_date_of_the_injection_is_repaired_and_said() -> None:
    found, (warning,) = injection(at(11), at(10) - timedelta(days=3000), None)
    assert found == at(10)
    assert warning.startswith("injection-date: ")


def test_days_between_injection_and_scan_are_right_for_a_long_half_life() -> None:
    assert injection(at(11) + timedelta(days=6), at(10), None, 282_280.0) == (at(10), [])


def test_the_time_is_taken_where_the_date_and_time_contradict_the_scan() -> None:
    """Such as a date and time in UTC."""
    assert injection(at(11), at(18), time(10))[0] == at(10)


@pytest.mark.parametrize(("injected", "at_time"), [(None, time(13)), (at(13), None), (at(13), time(13)), (None, None)])
def test_an_injection_after_the_scan_is_refused(injected: datetime | None, at_time: time | None) -> None:
    with pytest.raises(NoSuvError):
        injection(at(11, 11, 11), injected, at_time)
