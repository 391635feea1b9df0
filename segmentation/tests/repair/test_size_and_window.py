"""Bodies of other sizes, pixels and windows are brought near to those of the data set."""

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL.Image import Resampling

from mipseg.errors import ArgumentError
from mipseg.repair import InputWarning, repair
from mipseg.repair.coarse import halved
from tests.repair.bodies import SEEDS, in_window, intensity, phantom, resized


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_pixel_spacing_brings_an_image_to_the_pitch_of_the_training(seed: int, factor: float) -> None:
    changed = intensity(resized(phantom(seed), factor))
    repaired = repair(changed, spacing=(2 / factor, 2 / factor))
    assert repaired.warnings == ()
    assert np.abs(np.subtract(repaired.intensity.shape, (489, 400))).max() <= 1
    restored = repaired.restore(repaired.intensity > 0.5)
    assert restored.dtype == bool
    expected = changed > 0.5
    assert 2 * (restored & expected).sum() / (restored.sum() + expected.sum()) > 0.93


def test_the_spacing_of_each_axis_counts() -> None:
    repaired = repair(intensity(phantom(2)[::2]), spacing=(4, 2))
    assert repaired.intensity.shape == (490, 400)
    assert repaired.warnings == ()


@pytest.mark.parametrize(("spacing", "message"), [
    ((2, 0.1), "2 x 0.1 mm, but only 0.4 to 10 mm"), ((20, 2), "20 x 2 mm"), ((9, 9), "would have 3960000 pixels"),
])  # fmt: skip
def test_a_spacing_that_can_not_be_is_refused(spacing: tuple[float, float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        repair(intensity(phantom(2)), spacing)


@pytest.mark.parametrize("factor", [0.4, 0.6, 1.6, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_body_of_another_size_is_brought_to_the_usual_one(seed: int, factor: float) -> None:
    changed = intensity(resized(phantom(seed), factor))
    repaired = repair(changed)
    assert repaired.warnings[0] == InputWarning.SCALE
    assert 0.8 < repaired.intensity.shape[0] / 489 < 1.25
    restored, expected = repaired.restore(repaired.intensity > 0.5), changed > 0.5
    assert 2 * (restored & expected).sum() / (restored.sum() + expected.sum()) > 0.9


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize(("seed", "stretch"), [*((seed, factor) for seed in SEEDS for factor in (1.7, 2)), (0, 0.6)])
def test_a_stretched_body_is_brought_near_to_its_usual_height(seed: int, stretch: float, turns: int) -> None:
    changed = intensity(np.rot90(resized(phantom(seed), 1, stretch), -turns))
    repaired = repair(changed)
    assert InputWarning.SCALE in repaired.warnings
    assert repaired.geometry.turns == turns
    assert 0.8 < repaired.intensity.shape[0] / 489 < 1.12
    assert repaired.intensity.shape[1] == 400
    assert repaired.restore(repaired.intensity > 0.5).shape == changed.shape


def test_the_pixel_spacing_counts_for_more_than_the_bodys_size() -> None:
    repaired = repair(intensity(resized(phantom(2), 1.6)), spacing=(2, 2))
    assert repaired.warnings == (InputWarning.SCALE,)
    assert repaired.intensity.shape == (782, 640)


def test_a_size_that_is_out_of_reach_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = intensity(resized(phantom(2), 0.6))
    monkeypatch.setattr("mipseg.repair.scale.MAX_PIXELS", 489 * 400 // 2)
    repaired = repair(changed)
    assert repaired.warnings == (InputWarning.SCALE,)
    assert repaired.intensity.shape == changed.shape


def test_coarse_pixels_are_sharpened_until_their_averages_are_what_was_sent() -> None:
    plain = PillowImage.fromarray(intensity(phantom(2, 490)))
    coarse = plain.resize((200, 245), Resampling.BILINEAR)
    seen = PillowImage.fromarray(repair(np.asarray(coarse), spacing=(4, 4)).intensity)
    cubic = coarse.resize((400, 490), Resampling.BICUBIC)
    off, off_cubic = (
        np.abs(np.asarray(image.resize((200, 245), Resampling.HAMMING)) - np.asarray(coarse)).mean()
        for image in (seen, cubic)
    )
    assert off < 0.35 * off_cubic
    lost, lost_cubic = (np.abs(np.asarray(image) - np.asarray(plain)).mean() for image in (seen, cubic))
    assert lost < 0.97 * lost_cubic


@pytest.mark.parametrize("top", [18, 20])
def test_a_wide_window_is_said_and_undone(top: float) -> None:
    plain, changed = intensity(phantom(2)), intensity(in_window(phantom(2), top))
    repaired = repair(changed)
    assert InputWarning.WINDOW in repaired.warnings
    is_whole = (plain < 0.98) & (repaired.intensity > 0)
    factor = repaired.intensity[is_whole] / changed[is_whole]
    assert factor == pytest.approx(top / 6, rel=0.2)  # people differ


@pytest.mark.parametrize("top", [2, 2.5])
def test_a_narrow_window_is_said_and_left(top: float) -> None:
    """What it has saturated can't be guessed well enough: the networks stand it better as it is."""
    changed = intensity(in_window(phantom(2), top))
    repaired = repair(changed)
    assert InputWarning.WINDOW in repaired.warnings
    np.testing.assert_array_equal(repaired.intensity, changed)


def test_a_pale_body_is_judged_as_a_usual_one() -> None:
    """In a window to 9 nothing of this body is hot, as in one's legs."""
    assert repair(intensity(in_window(phantom(0), 9))).warnings == ()


def test_half_the_resolution_has_the_means() -> None:
    image = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(halved(image), [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])
    np.testing.assert_array_equal(halved(np.ones((3, 3), np.float32)), [[1, 0.5], [0.5, 0.25]])
