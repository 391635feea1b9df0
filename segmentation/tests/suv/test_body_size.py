"""Sizes of bodies against the formulas of their sources, worked out by hand."""

import pytest

from mipseg.suv.body_size import body_size


@pytest.mark.parametrize(
    ("kind", "woman", "man"),
    [
        ("BW", 60_000, 60_000),
        ("LBM", 43_387.5, 49_125),  # 1.07 x 60 - 148 x (60 / 160)²; 1.10 x 60 - 120 x (60 / 160)²
        ("LBMJAMES128", 43_387.5, 48_000),
        ("LBMJANMA", 38_361.928, 47_366.404),  # BMI 23.4375
        ("IBW", 52_780, 56_480),  # 45.5 + 0.91 x 8; 48 + 1.06 x 8
        ("BSA", 16_220.625, 16_220.625),
    ],
)
def test_of_60_kg_and_160_cm(kind: str, woman: float, man: float) -> None:
    assert body_size(kind, 60, 1.6, "F") == pytest.approx(woman, rel=1e-6)
    assert body_size(kind, 60, 1.6, "M") == pytest.approx(man, rel=1e-6)
