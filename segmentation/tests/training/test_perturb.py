import numpy as np
import pytest

from mipseg.metrics import dice_score
from mipseg.training.perturb import PERTURBATIONS, Perturbed
from mipseg.types import BinaryMask, GreyImage

MASK = np.zeros((100, 80), bool)
MASK[20:40, 50:70] = True
IMAGE = np.where(MASK, 0, 205).astype(np.uint8)  # a hot square, off the middle, on a warm body


def perturb(name: str, image: GreyImage = IMAGE, mask: BinaryMask = MASK, seed: int = 0) -> Perturbed:
    return PERTURBATIONS[name](image, mask, np.random.default_rng(seed))


def test_the_first_changes_nothing() -> None:
    image, mask, _ = perturb(next(iter(PERTURBATIONS)))
    assert np.array_equal(image, IMAGE)
    assert np.array_equal(mask, MASK)


@pytest.mark.parametrize(("top", "expected"), [(4, [0, 75, 255, 255]), (5, [0, 60, 240, 255]), (8, [0, 38, 150, 191])])
def test_window_scales_intensity_and_clips_it(top: int, expected: list[int]) -> None:
    image = (255 - np.array([[0, 50, 200, 255]])).astype(np.uint8)
    mask = image == 0
    perturbed, reference, _ = perturb(f"SUV window to {top} instead of 6", image, mask)
    assert perturbed.dtype == np.uint8
    assert (255 - perturbed.astype(int)).tolist() == [expected]
    assert reference is mask


@pytest.mark.parametrize(("factor", "shape"), [(0.8, (80, 64)), (1.25, (125, 100))])
def test_rescaled_reference_stays_on_its_image(factor: float, shape: tuple[int, int]) -> None:
    image, mask, spacing = perturb(f"rescaled by {factor:g}")
    assert spacing is None
    assert image.shape == mask.shape == shape
    assert mask.dtype == bool
    assert mask.sum() == pytest.approx(400 * factor**2, rel=0.05)
    assert dice_score(image < 100, mask) > 0.97


def test_mirrored_swaps_left_and_right_of_both() -> None:
    image, mask, _ = perturb("mirrored")
    assert np.argwhere(mask)[:, 1].min() == 10
    assert (image[mask] == 0).all()


def test_jpeg_changes_a_little() -> None:
    image, mask, _ = perturb("JPEG of quality 75")
    assert image.shape == mask.shape
    assert 0 < np.abs(image.astype(int) - IMAGE).mean() < 5


def test_jpeg_of_lower_quality_changes_more() -> None:
    changes = [np.abs(perturb(f"JPEG of quality {q}")[0].astype(int) - IMAGE).mean() for q in (75, 40, 20)]
    assert changes == sorted(changes)
    assert changes[0] < changes[1] < changes[2] < 10


@pytest.mark.parametrize("sigma", [1, 2])
def test_a_blur_spreads_by_its_sigma(sigma: int) -> None:
    image = np.full((41, 41), 255, np.uint8)
    image[20, 20] = 0
    blurred, mask, _ = perturb(f"blurred by {sigma} px", image, image == 0)
    assert blurred.dtype == np.uint8
    assert 255 - int(blurred.min()) == pytest.approx(255 / (2 * np.pi * sigma**2), abs=1)
    assert mask.sum() == 1


def test_few_grey_levels_are_the_nearest() -> None:
    image = np.arange(256, dtype=np.uint8)[None]
    few = perturb("16 grey levels", image, image < 0)[0]
    assert set(few.ravel().tolist()) == {17 * level for level in range(16)}
    assert np.abs(few.astype(int) - image).max() == 8


@pytest.mark.parametrize("sigma", [5, 10])
def test_noise_has_its_sigma_and_is_repeatable(sigma: int) -> None:
    grey, mask = np.full((200, 200), 128, np.uint8), np.zeros((200, 200), bool)
    first, second, other = (perturb(f"noise of {sigma} grey values", grey, mask, seed)[0] for seed in (0, 0, 1))
    assert first.astype(float).std() == pytest.approx(sigma, rel=0.03)
    assert first.astype(float).mean() == pytest.approx(128, abs=0.2)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("factor", "pitch"), [(0.5, 4.0), (2, 1.0)])
def test_the_spacing_of_other_pixels_may_be_told(factor: float, pitch: float) -> None:
    image, mask, spacing = perturb(f"rescaled by {factor:g}, the spacing given")
    assert image.shape == mask.shape == (100 * factor, 80 * factor)
    assert spacing == (pitch, pitch)


def test_inverted_and_bordered_keep_the_reference_in_place() -> None:
    image, mask, _ = perturb("inverted")
    assert np.array_equal(image, 255 - IMAGE)
    assert mask is MASK
    image, mask, _ = perturb("100 px of black at both sides")
    assert image.shape == mask.shape == (100, 280)
    assert np.array_equal(image[:, 100:180], IMAGE)
    assert not image[:, :100].any()
    assert not image[:, 180:].any()
    assert np.array_equal(mask[:, 100:180], MASK)
    assert mask.sum() == MASK.sum()
