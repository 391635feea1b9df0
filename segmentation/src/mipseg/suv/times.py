"""When the tracer was injected and to which moment a PET series is corrected for decay; pure.

Headers disagree about both, and people overwrite them when they remove names. Two ways lead to the moment of reference:
the series' own start (QIBA's rule), and the acquisition of each frame less its `FrameReferenceTime` (IBSI's). Both are
taken, and a gap between them is decided by what confirms either, and said.
"""

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta

DAY = timedelta(days=1)
MAX_GAP = 0.01  # of the SUV, between the two ways, that goes unsaid
MAX_HALF_LIVES = 10.0  # between injection and scan
MAX_UNDATED_UPTAKE = timedelta(hours=12)  # where the injection has a time but no date
MAX_UNDATED_HALF_LIFE_S = 24 * 3600.0  # beyond it the day matters, and a time alone does not tell it
MAX_UNCONFIRMED_START = timedelta(minutes=30)  # of a series before its first acquisition
MIN_OVERWRITTEN = 2  # times that are one and the same 11:11:11; a single one may be real


class NoSuvError(Exception):
    """The SUV can't be computed; the text is the reason."""


@dataclass(frozen=True)
class Frame:
    """The times of one slice.

    Attributes:
        acquired: when its acquisition began.
        reference_s: `FrameReferenceTime` in seconds.
        duration_s: `ActualFrameDuration` in seconds.
    """

    acquired: datetime | None
    reference_s: float | None
    duration_s: float | None


@dataclass(frozen=True)
class Times:
    """All times of a series.

    Attributes:
        injected: injection with date.
        injected_at: injection as a time of the day.
        series_start: `SeriesDate` and `SeriesTime`.
        ge_scan_start: GE's private scan date and time.
        frames: of each slice.
    """

    injected: datetime | None
    injected_at: time | None
    series_start: datetime | None
    ge_scan_start: datetime | None
    frames: tuple[Frame, ...]

    @property
    def first_acquired(self) -> datetime | None:
        """The earliest acquisition; None where not one slice has it."""
        return min((frame.acquired for frame in self.frames if frame.acquired), default=None)


def average_count_time(duration_s: float, half_life_s: float) -> float:
    """Seconds from a frame's start to the moment at which the activity equals its mean over the frame.

    ln(x / (1 - e^-x)) / λ with x = λ · duration; QIBA FDG-PET/CT profile, appendix G.
    """
    x = math.log(2) * duration_s / half_life_s
    return math.log(x / -math.expm1(-x)) * half_life_s / math.log(2) if x > 0 else 0.0


def find_injection(times: Times, half_life_s: float, warnings: list[str]) -> datetime:
    """The moment of the injection.

    A date that contradicts the scan's by whole days (dates are shifted when names are removed) is repaired by the time
    of the day; midnight between injection and scan is allowed for where the injection has no date.

    Args:
        times: of the series.
        half_life_s: in seconds.
        warnings: receives what was repaired.

    Raises:
        NoSuvError: no time is there, or it lies after the scan.
    """
    scan = times.first_acquired or times.series_start
    if scan is None:
        raise NoSuvError("neither AcquisitionTime nor SeriesTime says when the scan was")
    _check_overwritten(times, warnings)
    at = times.injected_at
    if times.injected is not None:
        uptake = scan - times.injected
        if timedelta(0) <= uptake <= timedelta(seconds=MAX_HALF_LIVES * half_life_s):
            _compare(times.injected, at, half_life_s, warnings)
            return times.injected
        if abs(uptake) >= DAY:
            at = times.injected.time()
        elif at in (None, times.injected.time()):
            raise _after_the_scan(times.injected, scan)
    if at is None:
        raise NoSuvError("no time of injection (RadiopharmaceuticalStartDateTime, RadiopharmaceuticalStartTime)")
    if half_life_s > MAX_UNDATED_HALF_LIFE_S:
        raise NoSuvError(
            f"the injection has no sound date, and with a half-life of {half_life_s / 3600:.0f} h it matters"
        )
    injected = datetime.combine(scan.date(), at)
    if injected > scan:
        injected -= DAY
    if scan - injected > MAX_UNDATED_UPTAKE:
        raise _after_the_scan(datetime.combine(scan.date(), at), scan)
    if times.injected is not None:
        warnings.append(f"injection-date: {times.injected} contradicts the scan of {scan}; taken as {injected}")
    return injected


def find_reference(times: Times, injected: datetime, half_life_s: float, warnings: list[str]) -> datetime:
    """The moment to which images with DecayCorrection START are corrected.

    Args:
        times: of the series.
        injected: the injection.
        half_life_s: in seconds.
        warnings: receives a gap of more than 1 % of the SUV between the two ways.

    Raises:
        NoSuvError: no time is there.
    """
    first = times.first_acquired
    if first is None:
        if times.series_start is None or times.series_start < injected:
            raise NoSuvError("no AcquisitionTime, and SeriesTime is missing or lies before the injection")
        return times.series_start
    series = _sound(times.series_start, injected, first)
    ge = _sound(times.ge_scan_start, injected, first)
    back = _back_computed(times, half_life_s)
    if back is not None and back < injected:
        back = None
    # A reference that counts to the middle of a frame for one and to its start for the other differs by half a frame.
    longest = timedelta(seconds=max((frame.duration_s or 0.0 for frame in times.frames), default=0.0))
    if back is None and all(frame.acquired and frame.reference_s is not None for frame in times.frames):
        warnings.append("reference-time: AcquisitionTime and FrameReferenceTime of the slices contradict each other")
    slack = max(longest / 2, timedelta(seconds=half_life_s * math.log2(1 + MAX_GAP)))
    if series is not None and _confirmed(series, ge, back, first, slack):
        used, name = series, "SeriesTime"
    elif ge is not None:
        used, name = ge, "GE's scan time"
    elif back is not None:
        used, name = back, "AcquisitionTime less FrameReferenceTime"
    else:
        used, name = first, "AcquisitionTime"
    written = _near(times.series_start, first)
    for other, of in ((written, "SeriesTime"), (ge, "GE's scan time"), (back or first, "AcquisitionTime")):
        gap = 0.0 if other is None else abs(2 ** ((other - used).total_seconds() / half_life_s) - 1)
        if gap > MAX_GAP:
            warnings.append(
                f"reference-time: {of} gives {other:%H:%M:%S}, but {name} {used:%H:%M:%S} was used; SUV {gap:.1%} apart"
            )
    return used


def _confirmed(series: datetime, ge: datetime | None, back: datetime | None, first: datetime, slack: timedelta) -> bool:
    """Whether something else supports a SeriesTime; one that was overwritten has nothing on its side."""
    if ge is not None:
        return abs(series - ge) <= slack
    if back is not None:
        return abs(series - back) <= slack
    return first - series <= MAX_UNCONFIRMED_START and not _is_placeholder(series)


def _is_placeholder(moment: datetime | time) -> bool:
    """Whether a time is one such as 11:11:11 or 00:00:00, which people write over the real one."""
    return moment.hour == moment.minute == moment.second


def _check_overwritten(times: Times, warnings: list[str]) -> None:
    """Refuse a series of which no time of the scan, or not that of the injection, was left; say where it may be so."""
    written = [times.series_start, *(frame.acquired for frame in times.frames)]
    moments = {moment for moment in written if moment is not None}
    if len(moments) == 1 and len(written) > MIN_OVERWRITTEN and _is_placeholder(moment := moments.pop()):
        raise NoSuvError(f"all times of the scan are {moment:%H:%M:%S}; the real ones were written over")
    injected = times.injected_at if times.injected is None else times.injected.time()
    if injected is None or not _is_placeholder(injected):
        return
    if times.series_start is not None and times.series_start.time() == injected:
        raise NoSuvError(f"injection and series are both at {injected:%H:%M:%S}; the real times were written over")
    warnings.append(f"injection-time: {injected:%H:%M:%S} may have been written over the real one")


def _compare(injected: datetime, at: time | None, half_life_s: float, warnings: list[str]) -> None:
    """Say where the injection's time contradicts that with a date."""
    other = None if at is None else _near(datetime.combine(injected.date(), at), injected)
    gap = 0.0 if other is None else abs(2 ** ((other - injected).total_seconds() / half_life_s) - 1)
    if gap > MAX_GAP:
        warnings.append(
            f"injection-time: RadiopharmaceuticalStartTime gives {at:%H:%M:%S}, but RadiopharmaceuticalStartDateTime"
            f" {injected:%H:%M:%S} was used; SUV {gap:.1%} apart"
        )


def _back_computed(times: Times, half_life_s: float) -> datetime | None:
    """The reference by each frame's own times, if all agree; all frames of a series have the same.

    `FrameReferenceTime` counts to the moment of the mean activity, but by some makers to the frame's start. A first one
    of 0 tells: it can't be the former.
    """
    complete = [
        (frame.acquired, frame.reference_s, frame.duration_s)
        for frame in times.frames
        if frame.acquired and frame.reference_s is not None and frame.duration_s
    ]
    if len(complete) < len(times.frames):
        return None
    counts_to_start = min(reference for _, reference, _ in complete) <= 0
    found = [
        acquired
        + timedelta(seconds=(0.0 if counts_to_start else average_count_time(duration, half_life_s)) - reference)
        for acquired, reference, duration in complete
    ]
    earliest, latest = min(found), max(found)
    if 2 ** ((latest - earliest).total_seconds() / half_life_s) - 1 > MAX_GAP:
        return None
    return earliest


def _near(moment: datetime | None, scan: datetime) -> datetime | None:
    """The same time of the day on the date that brings it nearest to the scan."""
    return None if moment is None else moment + DAY * round((scan - moment) / DAY)


def _sound(moment: datetime | None, injected: datetime, first: datetime) -> datetime | None:
    near = _near(moment, first)
    return near if near is not None and injected <= near <= first + timedelta(seconds=1) else None


def _after_the_scan(injected: datetime, scan: datetime) -> NoSuvError:
    return NoSuvError(f"the injection ({injected}) lies after the scan ({scan}) or too long before it")
