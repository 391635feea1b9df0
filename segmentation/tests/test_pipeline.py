"""One input, one result; and all ways in give the same."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mipseg.errors import ArgumentError, ImageError
from mipseg.io import mask_png
from mipseg.io.arrays import intensity_of_image
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.pipeline import Result, analyze, analyze_file, analyze_image, segment_image
from mipseg.settings import Settings
from tests.conftest import MakePhantom


@pytest.fixture(scope="module")
def result(segmenter: Segmenter, phantom: MakePhantom) -> Result:
    """Of phantom 2."""
    return analyze_image(phantom(2).mip, segmenter, spacing=(2.0, 2.0))


def test_every_way_in_gives_the_same(
    result: Result, segmenter: Segmenter, phantom: MakePhantom, tmp_path: Path
) -> None:
    grey = phantom(2).mip
    file = tmp_path / "image.png"
    Image.fromarray(grey).save(file)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    for other in (analyze(intensity_of_image(grey), segmenter), analyze_file(file, segmenter)):
        np.testing.assert_array_equal(other.tumour, result.tumour)
        assert other.has_tumour == result.has_tumour
        assert [lesion.area_px for lesion in other.lesions] == [lesion.area_px for lesion in result.lesions]
    np.testing.assert_array_equal(segment_image(rgb, segmenter), result.mask)


def test_mask_and_lesions_agree(result: Result) -> None:
    assert sum(lesion.area_px for lesion in result.lesions) == result.tumour.sum() > 100
    np.testing.assert_array_equal(result.mask, np.where(result.tumour[:, :, None], 255, 0).repeat(3, axis=2))
    assert result.has_tumour > 0.5
    assert result.label == "tumor"
    for lesion in result.lesions:
        top, left, bottom, right = lesion.bbox
        assert result.tumour[top:bottom, left:right].any()
        assert lesion.area_mm2 == 4 * lesion.area_px


def test_white_image_is_healthy(segmenter: Segmenter) -> None:
    result = analyze_image(np.full((489, 400, 3), 255, np.uint8), segmenter)
    assert (result.lesions, result.label) == ([], "healthy")
    assert not result.mask.any()
    assert "uniform" in result.warnings


@pytest.mark.parametrize(
    ("intensity", "text"),
    [
        (np.zeros((4, 5), np.uint8), "intensity is uint8 of shape (4, 5); wanted: (H, W) float in [0, 1], air 0"),
        (np.zeros((4, 5), bool), "intensity is bool of shape (4, 5)"),
        (np.full((4, 5), 255.0), "intensity goes from 255 to 255"),
        (np.full((4, 5), -0.1), "intensity goes from -0.1 to -0.1"),
        (np.full((4, 5), math.nan), "intensity has values that are not finite"),
        (np.full((4, 5), math.inf), "intensity has values that are not finite"),
        (np.zeros((3, 4, 5)), "intensity is float64 of shape (3, 4, 5)"),
        (np.zeros((0, 5)), "intensity is float64 of shape (0, 5)"),
        ("image.png", "intensity must be a NumPy array, not str"),
    ],
)
def test_what_is_not_intensity_is_refused(tmp_path: Path, intensity: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(text)):
        analyze(intensity, Segmenter(tmp_path))  # before the model is loaded


@pytest.mark.parametrize("spacing", [(0, 1), (1, -1), (1, 101), (1,), (1, 2, 3), 2.0, ("a", "b"), (math.nan, 1)])
def test_what_is_no_spacing_is_refused(tmp_path: Path, spacing: Any) -> None:
    with pytest.raises(ArgumentError, match=r"the spacing must be two numbers of mm in \(0, 100\], not"):
        analyze(np.zeros((4, 5)), Segmenter(tmp_path), spacing)


def test_memory_layout_and_float_type_do_not_matter(segmenter: Segmenter, phantom: MakePhantom) -> None:
    intensity = intensity_of_image(phantom(3, height=200).mip)
    expected = analyze(intensity, segmenter).tumour
    assert expected.any()
    for other in (np.asfortranarray(intensity), np.repeat(intensity, 2, axis=1)[:, ::2], intensity.astype(np.float64)):
        np.testing.assert_array_equal(analyze(other, segmenter).tumour, expected)


def test_repairs_are_undone_and_said(segmenter: Segmenter, phantom: MakePhantom, result: Result) -> None:
    grey = phantom(2).mip
    for image, rows, columns, warning in (
        (np.pad(grey, ((0, 0), (100, 100))), slice(None), slice(100, -100), "border-removed"),
        (255 - grey, slice(None), slice(None), "inverted"),
    ):
        other = analyze_image(image, segmenter)
        assert other.tumour.shape == image.shape
        np.testing.assert_array_equal(other.tumour[rows, columns], result.tumour)
        assert other.tumour.sum() == result.tumour.sum()
        assert other.warnings == (warning,)
        assert [lesion.mean_intensity for lesion in other.lesions] == pytest.approx(
            [lesion.mean_intensity for lesion in result.lesions]
        )


def test_twelve_bits_are_scaled_and_said(
    segmenter: Segmenter, phantom: MakePhantom, result: Result, tmp_path: Path
) -> None:
    Image.fromarray(phantom(2).mip.astype(np.uint16) * 16).save(tmp_path / "image.png")
    other = analyze_file(tmp_path / "image.png", segmenter)
    np.testing.assert_array_equal(other.tumour, result.tumour)
    assert other.warnings == ("bit-depth",)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (64, 64)])
@pytest.mark.parametrize("spacing", [None, (1.0, 3.0)])
def test_the_smallest_images_are_answered_in_their_shape(
    segmenter: Segmenter, shape: tuple[int, int], spacing: tuple[float, float] | None
) -> None:
    for intensity in (np.zeros(shape), np.ones(shape), np.random.default_rng(0).random(shape)):
        result = analyze(intensity, segmenter, spacing)
        assert result.tumour.shape == result.probability.shape == shape
        assert result.warnings


def test_label_and_mask_have_one_operating_point(segmenter: Segmenter, phantom: MakePhantom) -> None:
    image = phantom(2).mip
    sure = analyze_image(image, segmenter)
    assert (sure.label, sure.threshold) == ("tumor", segmenter.config.min_patient)
    strict = analyze_image(image, Segmenter(MODELS / Settings().model, min_patient=1.0))
    assert (strict.label, strict.threshold, strict.lesions) == ("healthy", 1.0, [])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"can't read .*nothing\.png: No such file"):
        analyze_file(tmp_path / "nothing.png", Segmenter(tmp_path))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1)])
def test_a_mask_is_not_taken_for_an_image(tmp_path: Path, low: int, high: int) -> None:
    mask = np.full((100, 80), low, np.uint8)
    mask[20:40, 20:40] = high
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=f"^the image holds only {low} and {high}, as a mask does and PET does not$"):
        analyze_file(tmp_path / "mask.png", Segmenter(tmp_path))


def test_two_grey_levels_of_few_pixels_are_chance() -> None:
    few = np.array([[189, 243]], np.uint8)
    mask_png.check_is_no_mask(few)
    with pytest.raises(ImageError, match="holds only 189 and 243"):
        mask_png.check_is_no_mask(np.repeat(few, 50, 0))
