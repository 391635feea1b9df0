"""From a PET header to the factor that turns its values into SUV by body weight, or the reason why there is none; pure.

SUVbw = activity concentration (Bq/ml) · body weight (g) / dose (Bq) at the moment to which the image is corrected for
decay. Rules: QIBA FDG-PET/CT profile (vendor-neutral pseudo-code) and IBSI's draft manual on SUV.
"""

from dataclasses import dataclass
from datetime import datetime

from mipseg.suv.body_size import body_size, is_height
from mipseg.suv.nuclides import find_nuclide, fits, nuclide_of_half_life
from mipseg.suv.times import MAX_HALF_LIVES, NoSuvError, Times, average_count_time, find_injection, find_reference

MIN_WEIGHT_KG, MIN_DOSE_BQ = 0.1, 1.0  # that may be given; what is not plausible leads to no SUV, with the reason
WEIGHTS_KG = (0.5, 650.0)
DOSES_BQ = (1e6, 1e11)
DOSES_MBQ = (10.0, 10_000.0)  # what a dose looks like that was written in MBq
MIN_MBQ_PER_KG = 0.3  # of such a dose; below, it was written in mCi
USUAL_UPTAKE = (600.0, 3.0)  # at least so many seconds, at most so many half-lives
USUAL_MEDIAN = (0.1, 10.0)  # of the body's SUV, which a brain alone nearly reaches; beyond it a warning
POSSIBLE_MEDIAN = (0.01, 30.0)  # beyond it the factor is wrong by orders of magnitude

_REFUSED_UNITS = {
    "CPS": "counts per second",
    "PROPCPS": "proportional to counts per second",
    "PROPCNTS": "proportional to counts",
    "PCNT": "percent",
}
_SUV_TYPES = {"GML": ("BW", "LBM", "LBMJAMES128", "LBMJANMA", "IBW"), "CM2ML": ("BSA",)}  # the first is the usual one


@dataclass(frozen=True)
class SuvHeader:
    """What a series' headers say that bears on SUV; what they do not say is None or empty.

    Attributes:
        units: `Units`, such as `BQML`.
        suv_type: `SUVType`.
        corrections: the values of `CorrectedImage`.
        decay_correction: `DecayCorrection`.
        weight_kg: `PatientWeight`.
        height_m: `PatientSize`.
        sex: `PatientSex`.
        dose: `RadionuclideTotalDose` as written: Bq, in some files MBq.
        half_life_s: `RadionuclideHalfLife`.
        tracer: texts that name the radionuclide or the tracer, the surest first.
        times: of injection, series and slices.
        philips_suv: (7053,1000) of each slice.
        philips_activity: (7053,1009) of each slice.
        refusal: why the series is no static PET at all; empty: it is.
        contradiction: why weight and dose can't be believed; empty: they can.
    """

    units: str
    suv_type: str
    corrections: frozenset[str]
    decay_correction: str
    weight_kg: float | None
    height_m: float | None
    sex: str
    dose: float | None
    half_life_s: float | None
    tracer: tuple[str, ...]
    times: Times
    philips_suv: tuple[float | None, ...] = ()
    philips_activity: tuple[float | None, ...] = ()
    refusal: str = ""
    contradiction: str = ""


@dataclass(frozen=True)
class SuvFactor:
    """How rescaled values become SUV.

    Attributes:
        factors: of each slice: SUV = (stored · slope + intercept) · factor.
        warnings: `code: sentence` each.
    """

    factors: tuple[float, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class NoSuv:
    """There is no SUV.

    Attributes:
        reason: one line.
    """

    reason: str


def suv_factor(header: SuvHeader) -> SuvFactor | NoSuv:
    """The factor of each slice, or the reason why there is none. Nothing is guessed."""
    warnings: list[str] = []
    try:
        return SuvFactor(_factors(header, warnings), tuple(warnings))
    except NoSuvError as error:
        return NoSuv(str(error))


def uptake_seconds(header: SuvHeader) -> float | None:
    """Seconds from the injection to the start of the scan; None where the header does not tell."""
    try:
        half_life = _half_life(header, [])
        injected = find_injection(header.times, half_life, [])
        return (find_reference(header.times, injected, half_life, []) - injected).total_seconds()
    except NoSuvError:
        return None


def dose_becquerel(dose: float | None, weight_g: float, warnings: list[str]) -> float:
    """A dose in Bq, of one in Bq or MBq, for a body weight.

    Raises:
        NoSuvError: missing, or neither.
    """
    if dose is None or dose <= 0:
        raise NoSuvError("no dose (RadionuclideTotalDose is missing, 0 or not a number)")
    if DOSES_BQ[0] <= dose <= DOSES_BQ[1]:
        return dose
    if DOSES_MBQ[0] <= dose <= DOSES_MBQ[1]:
        if dose < MIN_MBQ_PER_KG * weight_g / 1000:
            raise NoSuvError(f"a dose of {dose:g} is too small for MBq at {weight_g / 1000:g} kg; mCi?")
        warnings.append(f"dose-unit: a dose of {dose:g} is taken as MBq")
        return dose * 1e6
    raise NoSuvError(f"a dose of {dose:g} is plausible neither in Bq nor in MBq")


def is_weight(weight_kg: float | None) -> bool:
    """Whether a number can be a person's weight in kg; None is none."""
    return weight_kg is not None and WEIGHTS_KG[0] <= weight_kg <= WEIGHTS_KG[1]


def weight_gram(weight_kg: float | None) -> float:
    """A body weight in grams.

    Raises:
        NoSuvError: missing or out of range.
    """
    if weight_kg is None or weight_kg <= 0:
        raise NoSuvError("no body weight (PatientWeight is missing, 0 or not a number)")
    if not is_weight(weight_kg):
        raise NoSuvError(f"a body weight of {weight_kg:g} kg is not plausible")
    return weight_kg * 1000


def judge_median(median: float) -> tuple[str, str]:
    """Whether a body's median SUV is plausible.

    Returns:
        A reason to refuse the SUV, and a warning; empty where there is none.
    """
    text = f"the median SUV of the body would be {median:.3g}; about 0.5 to 1 is usual"
    if not POSSIBLE_MEDIAN[0] <= median <= POSSIBLE_MEDIAN[1]:
        return f"implausible: {text}", ""
    return "", "" if USUAL_MEDIAN[0] <= median <= USUAL_MEDIAN[1] else f"suv-implausible: {text}"


def _factors(header: SuvHeader, warnings: list[str]) -> tuple[float, ...]:
    if header.refusal:
        raise NoSuvError(header.refusal)
    _check_corrections(header)
    count = len(header.times.frames)
    if header.units in _SUV_TYPES:
        return (_factor_of_suv(header, warnings),) * count
    if header.units == "CNTS":
        if factors := _complete(header.philips_suv):
            return factors
        if not (activities := _complete(header.philips_activity)):
            raise NoSuvError("Units are CNTS, and neither (7053,1000) nor (7053,1009) calibrates them")
        per_activity = _factors_of_activity(header, warnings)
        return tuple(activity * factor for activity, factor in zip(activities, per_activity, strict=True))
    if header.units != "BQML":
        meaning = _REFUSED_UNITS.get(header.units)
        named = f"{header.units} ({meaning})" if meaning else header.units or "missing"
        raise NoSuvError(f"Units are {named}; BQML, GML or CNTS of Philips are needed")
    return _factors_of_activity(header, warnings)


def _factor_of_suv(header: SuvHeader, warnings: list[str]) -> float:
    """From SUV by another measure of the body to SUV by its weight."""
    possible = _SUV_TYPES[header.units]
    kind = header.suv_type or possible[0]
    if kind not in possible:
        raise NoSuvError(f"Units are {header.units} and SUVType is {kind}, which do not go together")
    if kind == "BW":
        return 1.0
    if header.contradiction:
        raise NoSuvError(header.contradiction)
    weight, height = weight_gram(header.weight_kg), header.height_m or 0.0
    if not is_height(height):
        raise NoSuvError(f"the image holds SUV by {kind}, and PatientSize is {height or 'missing'}; metres are needed")
    if kind != "BSA" and header.sex not in ("M", "F"):
        raise NoSuvError(f"the image holds SUV by {kind}, and PatientSex is {header.sex or 'missing'}")
    warnings.append(f"suv-type: SUV by {kind} was turned into SUV by body weight")
    return weight / body_size(kind, weight / 1000, height, header.sex)


def _complete(factors: tuple[float | None, ...]) -> tuple[float, ...]:
    """The factors where every slice has one above 0, else none."""
    above = tuple(factor for factor in factors if factor is not None and factor > 0)
    return above if len(above) == len(factors) else ()


def _check_corrections(header: SuvHeader) -> None:
    """Refuse what is not corrected for attenuation, or for decay; DecayCorrection NONE is dealt with elsewhere."""
    needed = {"ATTN"} if header.decay_correction == "NONE" else {"ATTN", "DECY"}
    names = {"ATTN": "attenuation", "DECY": "decay"}
    missing = [names[code] for code in sorted(needed - header.corrections)]
    if missing:
        codes = ", ".join(sorted(needed - header.corrections))
        raise NoSuvError(f"not corrected for {' and '.join(missing)} (CorrectedImage lacks {codes})")


def _factors_of_activity(header: SuvHeader, warnings: list[str]) -> tuple[float, ...]:
    """Factors from Bq/ml: weight / dose, the dose decayed to the moment to which the image is corrected."""
    if header.contradiction:
        raise NoSuvError(header.contradiction)
    weight = weight_gram(header.weight_kg)
    per_dose = weight / dose_becquerel(header.dose, weight, warnings)
    count = len(header.times.frames)
    if header.decay_correction == "ADMIN":
        return (per_dose,) * count
    if header.decay_correction not in ("START", "NONE"):
        raise NoSuvError(f"DecayCorrection is {header.decay_correction or 'missing'}; START, ADMIN or NONE is needed")
    half_life = _half_life(header, warnings)
    injected = find_injection(header.times, half_life, warnings)
    if header.decay_correction == "NONE":
        elapsed = _elapsed_to_frames(header, half_life, injected, warnings)
    else:
        elapsed = [(find_reference(header.times, injected, half_life, warnings) - injected).total_seconds()] * count
    if not 0 <= min(elapsed) <= max(elapsed) <= MAX_HALF_LIVES * half_life:
        raise NoSuvError(f"the scan lies {max(elapsed) / 3600:.1f} h after the injection; one of the times is wrong")
    if not min(USUAL_UPTAKE[0], half_life) <= elapsed[0] <= USUAL_UPTAKE[1] * half_life:
        warnings.append(
            f"uptake-time: the scan began {elapsed[0] / 60:.0f} minutes after the injection, which is unusual"
        )
    return tuple(per_dose * 2 ** (seconds / half_life) for seconds in elapsed)


def _elapsed_to_frames(header: SuvHeader, half_life: float, injected: datetime, warnings: list[str]) -> list[float]:
    """Seconds from the injection to each frame's mean activity, for images without decay correction."""
    frames = header.times.frames
    if "DECY" in header.corrections:
        warnings.append("decay-correction: DecayCorrection is NONE, but CorrectedImage has DECY; NONE was used")
    if len({frame.acquired for frame in frames}) == 1 < len({frame.reference_s for frame in frames}):
        raise NoSuvError("not corrected for decay, and AcquisitionTime is not that of each frame")
    elapsed = []
    for frame in frames:
        if frame.acquired is None or not frame.duration_s:
            raise NoSuvError("not corrected for decay, and AcquisitionTime or ActualFrameDuration is missing")
        to_middle = average_count_time(frame.duration_s, half_life)
        elapsed.append((frame.acquired - injected).total_seconds() + to_middle)
    return elapsed


def _half_life(header: SuvHeader, warnings: list[str]) -> float:
    """The half-life in seconds; where the nuclide's name contradicts a number that is of none, the name's.

    Raises:
        NoSuvError: neither is there, or they are of two nuclides.
    """
    written = header.half_life_s if header.half_life_s and header.half_life_s > 0 else None
    nuclide = find_nuclide(header.tracer) or (nuclide_of_half_life(written) if written else None)
    if nuclide is None and written is None:
        raise NoSuvError("neither a half-life nor a known radionuclide is named")
    if nuclide is None or (written is not None and fits(nuclide, written)):
        return written or 0.0
    if written is not None:
        if other := nuclide_of_half_life(written):
            raise NoSuvError(
                f"the tracer is {nuclide.name} by its name, but {other.name} by its half-life, {written:g} s"
            )
        warnings.append(f"half-life: {written:g} s is not that of {nuclide.name}; {nuclide.half_life_s:g} s was used")
    return nuclide.half_life_s
