"""Radionuclides by name and half-life, to tell PET from SPECT and a wrong half-life from a right one; and FDG by name.

Half-lives: Laboratoire National Henri Becquerel, Table of Radionuclides (Bq monographs), rounded.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HALF_LIFE_TOLERANCE = 0.02  # headers round: F-18 is written as 6584 to 6600 s


@dataclass(frozen=True)
class Nuclide:
    """A radionuclide.

    Attributes:
        name: such as `F-18`.
        half_life_s: in seconds.
        emits_positrons: whether it belongs to PET; the others are imaged by SPECT.
    """

    name: str
    half_life_s: float
    emits_positrons: bool


_ELEMENTS = {
    "C": "carbon",
    "N": "nitrogen",
    "O": "oxygen",
    "F": "fluorine",
    "Cu": "copper",
    "Ga": "gallium",
    "Rb": "rubidium",
    "Y": "yttrium",
    "Zr": "zirconium",
    "Tc": "technetium",
    "In": "indium",
    "I": "iodine",
    "Lu": "lutetium",
    "Tl": "thallium",
}
_NUCLIDES = (
    Nuclide("F-18", 6586.2, True),
    Nuclide("C-11", 1221.8, True),
    Nuclide("N-13", 598.0, True),
    Nuclide("O-15", 122.3, True),
    Nuclide("Cu-64", 45_724.0, True),
    Nuclide("Ga-68", 4_070.0, True),
    Nuclide("Rb-82", 76.4, True),
    Nuclide("Y-86", 53_060.0, True),
    Nuclide("Zr-89", 282_280.0, True),
    Nuclide("I-124", 360_800.0, True),
    Nuclide("Tc-99m", 21_624.0, False),
    Nuclide("In-111", 242_330.0, False),
    Nuclide("I-123", 47_600.0, False),
    Nuclide("I-131", 693_300.0, False),
    Nuclide("Lu-177", 574_200.0, False),
    Nuclide("Tl-201", 262_800.0, False),
    Nuclide("Ga-67", 281_800.0, False),
)
_CODES_OF_FLUORINE = "C-111A1", "77004003"  # SNOMED
# Its short name, glucose that lost an oxygen in several languages, and the codes of SNOMED and UNII.
_FDG = re.compile(
    r"(?<![a-z])f?fdg(?![a-z])|d[eé]s?o(?:x|ss)[iy].{0,24}gl[uiy][ck]|C-B1031|35321007|0Z5B2CJX4D", re.IGNORECASE
)
# What names no tracer: codes, and words that stand in its place.
_NAMELESS = re.compile(
    r"\b[a-z]-(?=\w*\d)\w{5}\b|\b(?:fluor|solution|inject(?:ion|able)|intravenous|isotope|(?:radio)?(?:tracer|nuclide)"
    r"|(?:radio)?pharmaceutical|pet|mbq|other|unknown|none|not|specified|available|removed|anonym\w*)\b",
    re.IGNORECASE,
)


def find_nuclide(texts: Iterable[str]) -> Nuclide | None:
    """The radionuclide that a header names.

    Args:
        texts: code values, code meanings and tracer names, the surest first.

    Returns:
        The first that is recognised, such as in `^18^Fluorine`, `F-18`, `68Ga-PSMA` or `FDG`; None: none is.
    """
    for text in texts:
        if _FDG.search(text) or text in _CODES_OF_FLUORINE:
            return _NUCLIDES[0]
        for nuclide in _NUCLIDES:
            if _pattern(nuclide).search(text):
                return nuclide
    return None


def other_tracer(texts: Sequence[str], half_life_s: float | None) -> str | None:
    """What a header calls its tracer, where that is not FDG.

    Args:
        texts: as of `find_nuclide`.
        half_life_s: in seconds; without a name, it tells the nuclide.

    Returns:
        The text that names it, else the nuclide's name; None: it is FDG, or an F-18 tracer without a name.
    """
    if any(_FDG.search(text) for text in texts):
        return None
    if named := next((text for text in texts if _names_tracer(text)), None):
        return named
    nuclide = find_nuclide(texts) or (nuclide_of_half_life(half_life_s) if half_life_s else None)
    return None if nuclide is None or nuclide is _NUCLIDES[0] else nuclide.name


def _names_tracer(text: str) -> bool:
    """Whether a text holds a word beside nuclides and what is no name."""
    for nuclide in _NUCLIDES:
        text = _pattern(nuclide).sub(" ", text)
    for element in _ELEMENTS.values():
        text = re.sub(element, " ", text, flags=re.IGNORECASE)
    return re.search(r"[^\W\d_]{2}", _NAMELESS.sub(" ", text)) is not None


def nuclide_of_half_life(half_life_s: float) -> Nuclide | None:
    """The radionuclide of a half-life in seconds; None where none or several come near."""
    near = [nuclide for nuclide in _NUCLIDES if fits(nuclide, half_life_s)]
    return near[0] if len(near) == 1 else None


def fits(nuclide: Nuclide, half_life_s: float) -> bool:
    """Whether a half-life in seconds is the nuclide's, but for rounding."""
    return abs(half_life_s / nuclide.half_life_s - 1) <= HALF_LIFE_TOLERANCE


def _pattern(nuclide: Nuclide) -> re.Pattern[str]:
    symbol, mass = nuclide.name.split("-")
    element = f"(?:{symbol}|{_ELEMENTS[symbol]})"
    before, after = rf"(?<!\d){mass}\^?[\s-]*{element}(?![a-z])", rf"(?<![a-z]){element}[\s^-]*{mass}(?!\d)"
    return re.compile(f"{before}|{after}", re.IGNORECASE)
