"""What a PET series' DICOM headers say, in plain types; whatever can't be understood is None or empty."""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
)

from mipseg.io.dicom_file import value
from mipseg.suv.factor import SuvHeader
from mipseg.suv.nuclides import find_nuclide, nuclide_of_half_life
from mipseg.suv.times import Frame, Times

PET = PositronEmissionTomographyImageStorage
ENHANCED = (EnhancedPETImageStorage, LegacyConvertedEnhancedPETImageStorage)
# Private elements: group, offset in the creator's block, creator.
GE_SCAN_START = (0x0009, 0x0D, "GEMS_PETD_01")
PHILIPS_SUV, PHILIPS_ACTIVITY = ((0x7053, offset, "Philips PET Private Group") for offset in (0x00, 0x09))

_SPECT = re.compile(r"(?<![a-z])spect(?:ct)?(?![a-z])", re.IGNORECASE)
_CAMERAS = re.compile(
    r"symbia|encore2|e\.?cam\b|(?<![a-z])nm[/ ]?(?:ct|\d{3})|tandem|infinia|millennium|varicam|hawkeye|brightview"
    r"|precedence|skylight|forte\b|veriton|starguide",
    re.IGNORECASE,
)
_TRACERS = "RadiopharmaceuticalInformationSequence"
_NO_DAY = date(1900, 1, 1)  # where all dates were removed; times are compared within a day
_OF_INJECTION = ("RadionuclideHalfLife", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")
_PARALLEL_HOLES = ("PARA", "PINH", "FANB", "CONE", "SLNT", "ASTG", "DIVG")


def text(header: Dataset, keyword: str) -> str:
    """An attribute as one line without blanks around it; empty where it is missing."""
    found = value(header, keyword)
    return "" if found is None else "".join(each if each.isprintable() else "?" for each in str(found).strip())


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an attribute as upper-case text."""
    found = value(header, keyword)
    several = [found] if found is None or isinstance(found, str) or not isinstance(found, Sequence) else found
    return tuple(str(each).strip().upper() for each in several if each is not None)


def number(header: Dataset, keyword: str) -> float | None:
    """An attribute as a number."""
    return _number(value(header, keyword))


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """An attribute as that many numbers."""
    found = value(header, keyword)
    if found is None or isinstance(found, str | float | int) or len(found) != count:
        return None
    converted = [_number(each) for each in found]
    return None if None in converted else tuple(each for each in converted if each is not None)


def refusal(headers: Sequence[Dataset]) -> str:
    """Why a series is no static PET of one slice a file; empty where it is."""
    first = headers[0]
    if first.get("SOPClassUID") in ENHANCED:
        return "enhanced PET (one file of many frames) is not supported"
    if reason := _spect(first):
        return f"SPECT, not PET: {reason}"
    if first.get("SOPClassUID") != PET:
        return f"its objects are no PET images ({text(first, 'SOPClassUID')})"
    if (modality := text(first, "Modality")) not in ("PT", ""):
        return f"its Modality is {modality}, not PT"
    return _several_images(headers)


def _several_images(headers: Sequence[Dataset]) -> str:
    """Whether a series holds more than one image of a place; what shows it."""
    kind = texts(headers[0], "SeriesType")[:1]
    if kind in (("DYNAMIC",), ("GATED",)):
        return f"{kind[0].lower()} PET (several images of each place) is not supported"
    if any((number(header, "NumberOfFrames") or 1) > 1 for header in headers):
        return "a PET file with several frames is not supported"
    moments = defaultdict(set)
    for header in headers:
        moment = (text(header, "AcquisitionTime"), text(header, "FrameReferenceTime"))
        moments[numbers(header, "ImagePositionPatient", 3)].add(moment)
    if any(len(several) > 1 for place, several in moments.items() if place):
        return "several images of one place at different times: dynamic PET, or two series under one UID"
    return ""


def suv_header(headers: Sequence[Dataset], weight_kg: float | None = None, dose_bq: float | None = None) -> SuvHeader:
    """What bears on SUV.

    Args:
        headers: of the slices, in their order.
        weight_kg: instead of the header's.
        dose_bq: instead of the header's, at the time of the injection.
    """
    first = headers[0]
    tracer, zone = tracer_item(first), text(first, "TimezoneOffsetFromUTC")
    maker = text(first, "Manufacturer").upper()
    by_philips = "PHILIPS" in maker or not maker
    return SuvHeader(
        units=text(first, "Units").upper(),
        suv_type=text(first, "SUVType").upper(),
        corrections=frozenset.intersection(*(frozenset(texts(header, "CorrectedImage")) for header in headers)),
        decay_correction=text(first, "DecayCorrection").upper(),
        weight_kg=number(first, "PatientWeight") if weight_kg is None else weight_kg,
        height_m=number(first, "PatientSize"),
        sex=text(first, "PatientSex").upper(),
        dose=number(tracer, "RadionuclideTotalDose") if dose_bq is None else dose_bq,
        half_life_s=number(tracer, "RadionuclideHalfLife"),
        tracer=tracer_texts(first),
        times=Times(
            injected=_injected(tracer, zone),
            injected_at=_time(text(tracer, "RadiopharmaceuticalStartTime")),
            series_start=_moment(first, "Series"),
            ge_scan_start=_datetime(_private(first, GE_SCAN_START, maker.startswith("GE") or not maker), zone),
            frames=tuple(_frame(header) for header in headers),
        ),
        philips_suv=tuple(_number(_private(header, PHILIPS_SUV, by_philips)) for header in headers),
        philips_activity=tuple(_number(_private(header, PHILIPS_ACTIVITY, by_philips)) for header in headers),
        refusal=refusal(headers),
        contradiction=_contradiction(headers, weight_kg, dose_bq),
    )


def _contradiction(headers: Sequence[Dataset], weight_kg: float | None, dose_bq: float | None) -> str:
    """Why weight and dose can't be believed: they differ between slices, or there was more than one injection."""
    if weight_kg is None and len({number(header, "PatientWeight") for header in headers}) > 1:
        return "the slices differ in PatientWeight"
    of_dose = () if dose_bq is not None else ("RadionuclideTotalDose",)
    for keyword in (*of_dose, *_OF_INJECTION):
        if len({text(tracer_item(header), keyword) for header in headers}) > 1:
            return f"the slices differ in {keyword}"
    count = len(value(headers[0], _TRACERS) or ())
    return f"there were {count} injections ({_TRACERS} has as many items)" if count > 1 else ""


def _injected(tracer: Dataset, zone: str) -> datetime | None:
    """When it was injected, with date; an offset from UTC counts only where that of the other times is known."""
    written, at = text(tracer, "RadiopharmaceuticalStartDateTime"), _time(text(tracer, "RadiopharmaceuticalStartTime"))
    found = _datetime(written, zone)
    if found is None or at is None or zone or not re.search(r"[+-]\d{4}$", written):
        return found
    return datetime.combine(found.date(), at)


def tracer_item(header: Dataset) -> Dataset:
    """The first item of `RadiopharmaceuticalInformationSequence`; empty where there is none."""
    items = value(header, _TRACERS)
    return items[0] if items else Dataset()


def tracer_texts(header: Dataset) -> tuple[str, ...]:
    """All that names the radionuclide or the tracer, the surest first."""
    item = tracer_item(header)
    found = []
    for sequence in ("RadionuclideCodeSequence", "RadiopharmaceuticalCodeSequence"):
        for code in value(item, sequence) or ():
            found += [text(code, "CodeMeaning"), text(code, "CodeValue")]
    return tuple(name for name in (*found, text(item, "Radiopharmaceutical")) if name)


def _spect(header: Dataset) -> str:
    """What shows that an image is SPECT, whatever its modality says."""
    if header.get("SOPClassUID") == NuclearMedicineImageStorage or text(header, "Modality") in ("NM", "ST"):
        return "a nuclear medicine object"
    # F-18 in a gamma camera is not PET either. In other texts a camera's name may be a plain word, such as forte.
    model = text(header, "ManufacturerModelName")
    if found := _SPECT.search(model) or _CAMERAS.search(model):
        return f"ManufacturerModelName has {found.group()!r}"
    if found := _SPECT.search(text(header, "SeriesDescription")):  # the rest of it may tell who the patient is
        return f"SeriesDescription has {found.group()!r}"
    if collimator := [kind for kind in texts(header, "CollimatorType") if kind in _PARALLEL_HOLES]:
        return f"a collimator of type {collimator[0]}"
    half_life = number(tracer_item(header), "RadionuclideHalfLife")
    nuclide = (
        find_nuclide(tracer_texts(header))
        or (nuclide_of_half_life(half_life) if half_life else None)
        or find_nuclide([text(header, "SeriesDescription")])
    )
    if nuclide is not None:  # surer than any description
        return "" if nuclide.emits_positrons else f"{nuclide.name} emits no positrons"
    return _spect_by_description(header)


def _spect_by_description(header: Dataset) -> str:
    """What makes an image whose nuclide is not known look like SPECT."""
    if any("TOMO" in kind for kind in texts(header, "ImageType")):
        return "ImageType has TOMO, as nuclear medicine's"
    found = _SPECT.search(text(header, "StudyDescription"))  # of a study, which may hold PET as well
    return f"StudyDescription has {found.group()!r}" if found else ""


def _frame(header: Dataset) -> Frame:
    reference, duration = number(header, "FrameReferenceTime"), number(header, "ActualFrameDuration")
    return Frame(
        _moment(header, "Acquisition")
        or _datetime(text(header, "AcquisitionDateTime"), text(header, "TimezoneOffsetFromUTC")),
        None if reference is None else reference / 1000,
        None if duration is None else duration / 1000,
    )


def _moment(header: Dataset, prefix: str) -> datetime | None:
    """Date and time of `Series` or `Acquisition`; where the date is missing, another one near it, or one for all."""
    at = _time(text(header, f"{prefix}Time"))
    dates = (_date(text(header, f"{kind}Date")) for kind in (prefix, "Acquisition", "Series", "Content", "Study"))
    day = next((each for each in dates if each is not None), None)
    return None if at is None else datetime.combine(day or _NO_DAY, at)


def _date(written: str) -> date | None:
    digits = written.replace(".", "").replace("-", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None


def _time(written: str) -> time | None:
    """HHMMSS.FFFFFF, of which only the hour has to be there; colons were allowed once."""
    match = re.fullmatch(r"(\d\d)(\d\d)?(\d\d)?(\.\d{1,6})?", written.replace(":", ""))
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    try:
        return time(hour, minute, min(second, 59), round(float(match[4] or 0) * 1_000_000) % 1_000_000)
    except ValueError:
        return None


def _datetime(written: str, zone: str) -> datetime | None:
    """YYYYMMDDHHMMSS.FFFFFF&ZZXX in the time zone of the header's dates and times, if both offsets are there."""
    match = re.fullmatch(r"(\d{8})([\d.]*)([+-]\d{4})?", written)
    day, at = (None, None) if match is None else (_date(match[1]), _time(match[2]))
    if match is None or day is None or at is None:
        return None
    shift = _offset(zone) - _offset(match[3]) if match[3] and re.fullmatch(r"[+-]\d{4}", zone) else timedelta(0)
    return datetime.combine(day, at) + shift


def _offset(written: str) -> timedelta:
    """+HHMM from UTC."""
    minutes = int(written[1:3]) * 60 + int(written[3:5])
    return timedelta(minutes=-minutes if written[0] == "-" else minutes)


def _private(header: Dataset, place: tuple[int, int, str], by_maker: bool) -> str:
    """A private element as text, whichever VR it was read with.

    Args:
        header: of a slice.
        place: group, offset and creator.
        by_maker: whether the usual place can be trusted where the creator was removed: the maker is the right one, or
            was removed as well.
    """
    group, offset, creator = place
    try:
        written = header.private_block(group, creator)[offset].value
    except KeyError:
        is_free = by_maker and Tag(group, 0x0010) not in header  # else it is another creator's
        usual = header.get(Tag(group, 0x1000 + offset)) if is_free else None
        written = None if usual is None else usual.value
    if written is None:
        return ""
    return (written.decode("ascii", "ignore") if isinstance(written, bytes) else str(written)).strip("\0 ")


def _number(written: Any) -> float | None:
    try:
        converted = float(written)
    except (TypeError, ValueError):
        return None
    return converted if abs(converted) < float("inf") else None
