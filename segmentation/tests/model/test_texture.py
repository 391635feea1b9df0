import io

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy import ndimage

from mipseg.io.arrays import intensity_of_image
from mipseg.model.preprocess import BODY_LEVEL
from mipseg.model.texture import GRAIN, SMOOTH, USUAL, blur, sharpened, smoothness, with_grain
from mipseg.phantom import SPACING_MM, make_phantom, make_volume_phantom
from mipseg.types import GreyImage, Intensity

PHANTOM = intensity_of_image(make_phantom(1).mip)


def flat_body(*, saturated: bool = False) -> Intensity:
    """A body without any grain, in air."""
    intensity = np.zeros((200, 160), np.float32)
    intensity[20:180, 40:120] = 0.3
    if saturated:
        intensity[60:80, 60:80] = 1
    return intensity


def after_jpeg(image: GreyImage, quality: int) -> GreyImage:
    """What JPEG makes of it."""
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(PillowImage.open(buffer))


def test_an_image_with_the_usual_grain_is_left_alone() -> None:
    intensity = intensity_of_image(make_phantom(1).mip)
    assert 0.1 < smoothness(intensity) < 0.2
    assert with_grain(intensity) is intensity


def test_a_smooth_image_gets_the_same_grain_each_time_in_its_body_alone() -> None:
    intensity = flat_body(saturated=True)
    assert smoothness(intensity) > 0.9
    first, second = with_grain(intensity), with_grain(intensity)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    inside = intensity > BODY_LEVEL
    np.testing.assert_array_equal(first[~inside], 0)
    assert (first - intensity)[inside & (intensity < 1)].std() == pytest.approx(GRAIN, rel=0.03)
    assert first.max() == 1


def test_what_is_a_little_too_smooth_gets_less_grain() -> None:
    intensity = flat_body()
    intensity[20:145, 40:120] += 0.1 * np.random.default_rng(1).standard_normal((125, 80), np.float32)
    share = (smoothness(intensity) - SMOOTH[0]) / (SMOOTH[1] - SMOOTH[0])
    assert 0.4 < share < 0.7
    added = (with_grain(intensity) - intensity)[146:180, 40:120]
    assert added.std() == pytest.approx(share * GRAIN, rel=0.05)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_an_image_without_tissue_is_not_smooth(size: int) -> None:
    assert smoothness(np.full((5, size), 0.3, np.float32)) == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("height", [300, 489, 991])
def test_images_as_sharp_as_the_data_set_are_left_alone(seed: int, height: int) -> None:
    intensity = intensity_of_image(make_phantom(seed, height=height).mip)
    assert blur(intensity)[:2] == (0, 0)
    assert sharpened(intensity) is intensity


@pytest.mark.parametrize(("down", "across"), [(1.5, 1.5), (2, 2), (0, 2), (2, 0)])
def test_a_blur_is_measured_down_and_across(down: float, across: float) -> None:
    beyond = [max(0, sigma**2 - USUAL**2) ** 0.5 for sigma in (down, across)]
    found = blur(ndimage.gaussian_filter(PHANTOM, (down, across)))
    assert found[:2] == pytest.approx(beyond, abs=0.3)
    assert found.is_clean


@pytest.mark.parametrize("sigma", [1.5, 2])
def test_a_blurred_image_gets_nearer_to_what_it_was(sigma: float) -> None:
    blurred = ndimage.gaussian_filter(PHANTOM, sigma)
    sharp = sharpened(blurred)
    assert sharp.dtype == np.float32
    assert sharp.min() >= 0
    assert sharp.max() <= 1
    usual = ndimage.gaussian_filter(PHANTOM, USUAL)
    assert np.abs(sharp - usual).mean() < 0.5 * np.abs(blurred - usual).mean()


def test_what_jpeg_left_in_a_blurred_image_is_hardly_brought_up() -> None:
    blurred = ndimage.gaussian_filter(PHANTOM, 2)
    after = (after_jpeg((255 * blurred).round().astype(np.uint8), 50) / 255).astype(np.float32)
    found = blur(after)
    assert found[:2] == pytest.approx((1.2, 1.2), abs=0.3)
    assert not found.is_clean
    before, brought_up = (np.abs(np.diff(image, 2)).mean() for image in (after, sharpened(after)))
    assert 2 < brought_up / before < 5  # all of them would bring it up tenfold


@pytest.mark.parametrize("filter_mm", [8, 10])
def test_the_projection_of_a_blurred_volume_is_not_sharpened(filter_mm: float) -> None:
    suv = make_volume_phantom(3, height=300).suv
    sigmas = [filter_mm / 2.355 / spacing for spacing in SPACING_MM]
    blurred = ndimage.gaussian_filter(suv, sigmas).max(axis=1)[::-1] / np.float32(6)
    assert blur(ndimage.gaussian_filter((suv.max(axis=1) / np.float32(6)).clip(0, 1), 2))[:2] != (0, 0)
    assert blur(blurred.clip(0, 1))[:2] == (0, 0)


@pytest.mark.parametrize("quality", [75, 40, 20])
def test_jpeg_is_not_sharpened(quality: int) -> None:
    assert blur(intensity_of_image(after_jpeg(make_phantom(1).mip, quality)))[:2] == (0, 0)


def test_noise_on_a_blurred_image_is_not_sharpened() -> None:
    noise = np.random.default_rng(0).normal(0, 4 / 255, PHANTOM.shape)
    assert blur((ndimage.gaussian_filter(PHANTOM, 2) + noise).clip(0, 1).astype(np.float32))[:2] == (0, 0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 0), (3, 7), (9, 9), (200, 2)])
@pytest.mark.parametrize("level", [0, 0.3, 1])
def test_an_image_without_detail_is_not_sharpened(shape: tuple[int, int], level: float) -> None:
    intensity = np.full(shape, level, np.float32)
    assert sharpened(intensity) is intensity
