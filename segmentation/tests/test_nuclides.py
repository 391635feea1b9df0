"""Radionuclides by the many ways in which headers write them."""

import pytest

from mipseg.nuclides import find_nuclide, nuclide_of_half_life


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("^18^Fluorine", "F-18"), ("18F", "F-18"), ("F-18", "F-18"), ("Fluorine F^18^", "F-18"), ("C-111A1", "F-18"),
        ("FDG -- fluorodeoxyglucose", "F-18"), ("Fluorodeoxyglucose", "F-18"), ("[18F]PSMA-1007", "F-18"),
        ("^68^Gallium", "Ga-68"), ("68Ga-PSMA-11", "Ga-68"), ("Ga-67 citrate", "Ga-67"), ("^89^Zirconium", "Zr-89"),
        ("^99m^Technetium", "Tc-99m"), ("99mTc-MDP", "Tc-99m"), ("Tc-99m", "Tc-99m"), ("I-131", "I-131"),
        ("11C-choline", "C-11"), ("^82^Rubidium", "Rb-82"), ("^13^Nitrogen", "N-13"), ("123I-MIBG", "I-123"),
    ],
)  # fmt: skip
def test_a_nuclide_is_found_in_a_text(text: str, name: str) -> None:
    found = find_nuclide(["", text])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", ["Solution", "C-105A1", "Y-X1743", "F-180", "Batch 118F2", "DOTATATE", ""])
def test_other_texts_name_none(text: str) -> None:
    assert find_nuclide([text]) is None


def test_a_half_life_tells_a_nuclide_if_only_one_has_it() -> None:
    names = [
        found.name if (found := nuclide_of_half_life(seconds)) else None
        for seconds in (6588, 6711, 6725, 21_672, 282_000, 50)
    ]
    # Of F-18 by 1.9 % and by 2.1 % more; Zr-89 and Ga-67 are too near to each other.
    assert names == ["F-18", "F-18", None, "Tc-99m", None, None]


@pytest.mark.parametrize(("text", "is_pet"), [("18F", True), ("68Ga", True), ("99mTc", False), ("177Lu", False)])
def test_pet_needs_positrons(text: str, is_pet: bool) -> None:
    found = find_nuclide([text])
    assert found is not None
    assert found.emits_positrons is is_pet
