"""SUV by body weight from headers of every kind, with numbers that can be worked out by hand."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from mipseg.suv.factor import NoSuv, SuvFactor, SuvHeader, judge_median, suv_factor, uptake_seconds
from mipseg.suv.times import Frame, Times, average_count_time

HALF_LIFE = 3600.0
SCAN = datetime(2025, 1, 1, 11)
# One half-life after the injection of 70 MBq, 70 kg: 70,000 g / 35 MBq.
FACTOR = 0.002
AT_INJECTION = FACTOR / 2


def header(**changes: Any) -> SuvHeader:
    """One slice, injected at 10:00, scanned at 11:00, with a half-life of an hour; times are changed by their name."""
    times = Times(None, time(10), SCAN, None, (Frame(SCAN, None, None),))
    times = replace(times, **{key: changes.pop(key) for key in list(changes) if hasattr(times, key)})
    sound = SuvHeader("BQML", "", frozenset({"ATTN", "DECY"}), "START", 70.0, 1.75, "M", 70e6, HALF_LIFE, (), times)
    return replace(sound, **changes)


def factors(**changes: Any) -> tuple[float, ...]:
    found = suv_factor(header(**changes))
    assert isinstance(found, SuvFactor)
    return found.factors


def warnings(**changes: Any) -> tuple[str, ...]:
    found = suv_factor(header(**changes))
    assert isinstance(found, SuvFactor)
    return found.warnings


def reason(**changes: Any) -> str:
    found = suv_factor(header(**changes))
    assert isinstance(found, NoSuv)
    return found.reason


def scanned_at(*moments: datetime | None, reference_s: float | None = None, duration_s: float | None = None) -> Any:
    return tuple(Frame(moment, reference_s, duration_s) for moment in moments)


def test_activity_by_weight_and_decayed_dose() -> None:
    assert factors() == pytest.approx((FACTOR,))
    assert warnings() == ()
    assert uptake_seconds(header()) == 3600


def test_every_slice_has_a_factor() -> None:
    assert factors(frames=scanned_at(SCAN, SCAN + timedelta(minutes=5))) == pytest.approx((FACTOR, FACTOR))


@pytest.mark.parametrize("suv_type", ["", "BW"])
def test_gml_is_suv_already_and_needs_no_dose(suv_type: str) -> None:
    assert factors(units="GML", suv_type=suv_type, weight_kg=None, dose=None, injected_at=None) == (1.0,)


@pytest.mark.parametrize(
    ("units", "suv_type", "size"),
    [
        ("GML", "LBM", 57_800),  # 1.10 x 70 - 120 x (70 / 175)²
        ("GML", "LBMJAMES128", 56_520),
        ("GML", "LBMJANMA", 55_857.107),  # 9270 x 70 / (6680 + 216 x 22.857)
        ("GML", "IBW", 72_380),  # 48 + 1.06 x 23
        ("CM2ML", "BSA", 18_481.43),
        ("CM2ML", "", 18_481.43),
    ],
)
def test_suv_by_another_measure_of_the_body_becomes_suv_by_weight(units: str, suv_type: str, size: float) -> None:
    changes = {"units": units, "suv_type": suv_type, "dose": None, "injected_at": None}
    assert factors(**changes) == pytest.approx((70_000 / size,), rel=1e-6)
    assert warnings(**changes) == (f"suv-type: SUV by {suv_type or 'BSA'} was turned into SUV by body weight",)


def test_counts_of_philips_by_their_suv_factor_or_their_activity() -> None:
    assert factors(units="CNTS", philips_suv=(0.25,), philips_activity=(3.0,), weight_kg=None) == (0.25,)
    assert factors(units="CNTS", philips_suv=(None,), philips_activity=(3.0,)) == pytest.approx((3 * FACTOR,))
    assert factors(units="CNTS", philips_suv=(0.0,), philips_activity=(3.0,)) == pytest.approx((3 * FACTOR,))


def test_the_suv_factor_of_philips_is_ignored_where_units_are_bqml() -> None:
    assert factors(philips_suv=(0.25,), philips_activity=(3.0,)) == pytest.approx((FACTOR,))


def test_a_dose_in_mbq_is_recognised_and_said() -> None:
    assert factors(dose=70.0) == pytest.approx((FACTOR,))
    assert warnings(dose=70.0) == ("dose-unit: a dose of 70 is taken as MBq",)


def test_images_corrected_to_the_injection_are_not_decayed_again() -> None:
    assert factors(decay_correction="ADMIN") == pytest.approx((AT_INJECTION,))
    assert factors(decay_correction="ADMIN", injected_at=None, half_life_s=None) == pytest.approx((AT_INJECTION,))


def test_images_without_decay_correction_by_each_frames_own_time() -> None:
    frames = scanned_at(SCAN, SCAN + timedelta(hours=1), duration_s=7200.0)
    # Mean activity over two half-lives: (1 - 1/4) / ln 4 of the first; reached after log2 of its inverse half-lives.
    later = average_count_time(7200, HALF_LIFE)
    assert 2 ** (-later / HALF_LIFE) == pytest.approx(0.75 / 1.3862943611)
    found = factors(decay_correction="NONE", corrections=frozenset({"ATTN"}), frames=frames)
    assert found == pytest.approx((FACTOR * 2 ** (later / HALF_LIFE), 2 * FACTOR * 2 ** (later / HALF_LIFE)))
    (warning,) = warnings(decay_correction="NONE", frames=frames)
    assert warning.startswith("decay-correction: DecayCorrection is NONE, but CorrectedImage has DECY")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weight_kg": None}, "no body weight (PatientWeight is missing, 0 or not a number)"),
        ({"weight_kg": 0.0}, "no body weight"),
        ({"weight_kg": 70_000.0}, "a body weight of 70000 kg is not plausible"),
        ({"dose": None}, "no dose (RadionuclideTotalDose is missing, 0 or not a number)"),
        ({"dose": 0.0}, "no dose"),
        ({"dose": 12.0}, "a dose of 12 is too small for MBq at 70 kg; mCi?"),
        ({"contradiction": "the slices differ in PatientWeight"}, "the slices differ in PatientWeight"),
        ({"dose": 370_000.0}, "a dose of 370000 is plausible neither in Bq nor in MBq"),
        ({"units": "CPS"}, "Units are CPS (counts per second)"),
        ({"units": "PROPCPS"}, "Units are PROPCPS (proportional to counts per second)"),
        ({"units": "PROPCNTS"}, "Units are PROPCNTS (proportional to counts)"),
        ({"units": ""}, "Units are missing"),
        (
            {"units": "GML", "suv_type": "LBM", "height_m": None},
            "the image holds SUV by LBM, and PatientSize is missing",
        ),
        ({"units": "CM2ML", "height_m": 175.0}, "SUV by BSA, and PatientSize is 175.0; metres are needed"),
        ({"units": "GML", "suv_type": "IBW", "sex": "O"}, "SUV by IBW, and PatientSex is O"),
        ({"units": "GML", "suv_type": "LBM", "weight_kg": None}, "no body weight"),
        ({"units": "GML", "suv_type": "BSA"}, "Units are GML and SUVType is BSA, which do not go together"),
        ({"units": "CM2ML", "suv_type": "BW"}, "Units are CM2ML and SUVType is BW, which do not go together"),
        ({"units": "CNTS", "philips_suv": (None,), "philips_activity": (None,)}, "neither (7053,1000) nor (7053,1009)"),
        ({"corrections": frozenset({"DECY"})}, "not corrected for attenuation (CorrectedImage lacks ATTN)"),
        ({"corrections": frozenset({"ATTN"})}, "not corrected for decay (CorrectedImage lacks DECY)"),
        ({"corrections": frozenset()}, "not corrected for attenuation and decay (CorrectedImage lacks ATTN, DECY)"),
        ({"corrections": frozenset(), "units": "GML"}, "not corrected for attenuation"),
        ({"decay_correction": ""}, "DecayCorrection is missing; START, ADMIN or NONE is needed"),
        ({"decay_correction": "NONE"}, "AcquisitionTime or ActualFrameDuration is missing"),
        ({"half_life_s": None}, "neither a half-life nor a known radionuclide"),
        ({"injected_at": None}, "no time of injection"),
        ({"injected_at": time(11, 1)}, "lies after the scan"),
        ({"injected": datetime(2025, 1, 1, 12), "injected_at": None}, "lies after the scan"),
        ({"injected": datetime(2025, 1, 1, 12), "injected_at": time(12)}, "lies after the scan"),
        ({"injected": datetime(2025, 1, 1, 23), "injected_at": None}, "lies after the scan"),
        ({"frames": scanned_at(None), "series_start": None}, "neither AcquisitionTime nor SeriesTime"),
        ({"frames": scanned_at(None), "injected_at": time(0), "half_life_s": 360.0}, "11.0 h after the injection"),
        ({"tracer": ("89Zr",), "half_life_s": None}, "with a half-life of 78 h it matters"),
        ({"tracer": ("Vial C 11",), "half_life_s": 6586.0}, "C-11 by its name, but F-18 by its half-life, 6586 s"),
        ({"refusal": "SPECT, not PET"}, "SPECT, not PET"),
        ({"refusal": "SPECT, not PET", "units": "GML"}, "SPECT, not PET"),
    ],
)
def test_without_a_sound_header_there_is_a_reason_and_no_number(changes: dict[str, Any], text: str) -> None:
    assert text in reason(**changes)


def test_the_half_life_of_a_named_nuclide_replaces_a_wrong_one() -> None:
    minutes = {"tracer": ("F-18",), "half_life_s": 109.77, "injected_at": time(9, 10, 13, 800_000)}
    assert factors(**minutes) == pytest.approx((FACTOR,), rel=1e-6)  # 6586.2 s, one half-life of F-18
    assert warnings(**minutes) == ("half-life: 109.77 s is not that of F-18; 6586.2 s was used",)
    assert warnings(tracer=("F-18",), half_life_s=6588.0) == ()


@pytest.mark.parametrize(
    ("median", "refused", "warned"),
    [(0.7, False, False), (0.11, False, False), (9.9, False, False), (0.09, False, True), (10.1, False, True),
     (31.0, True, False), (0.009, True, False), (0.0, True, False)],
)  # fmt: skip
def test_an_implausible_body_is_warned_of_and_an_impossible_one_refused(
    median: float, refused: bool, warned: bool
) -> None:
    reason, warning = judge_median(median)
    assert (bool(reason), bool(warning)) == (refused, warned)


@pytest.mark.parametrize(
    ("uptake", "said"), [(timedelta(minutes=9), 9), (timedelta(minutes=10), None), (timedelta(hours=3, minutes=1), 181)]
)
def test_an_unusual_uptake_time_is_said(uptake: timedelta, said: int | None) -> None:
    wanted = f"uptake-time: the scan began {said} minutes after the injection, which is unusual"
    assert warnings(injected=SCAN - uptake, injected_at=None) == (() if said is None else (wanted,))
