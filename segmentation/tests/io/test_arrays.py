"""One rule from image to intensity, and a clear error for every array that is not an image."""

import re

import numpy as np
import pytest

from mipseg.errors import ArgumentError
from mipseg.io.arrays import intensity_of_image

GREY = np.array([[255, 0, 204], [51, 102, 153]], np.uint8)
INTENSITY = [[0.0, 1.0, 0.2], [0.8, 0.6, 0.4]]


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY[:, :, None],
        np.repeat(GREY[:, :, None], 3, axis=2),
        np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)]),
        GREY.astype(np.uint16) * 257,
        np.asfortranarray(GREY),
        np.repeat(GREY, 2, axis=1)[:, ::2],
        np.repeat(GREY[:, :, None], 6, axis=2)[:, :, ::2],
    ],
    ids=["grey", "one channel", "rgb", "rgba", "16 bit", "fortran", "strided", "strided rgb"],
)
def test_air_is_zero_and_the_hottest_is_one(image: np.ndarray) -> None:
    intensity = intensity_of_image(image)
    assert intensity.dtype == np.float32
    np.testing.assert_allclose(intensity, INTENSITY, atol=1e-7)


def test_colours_become_grey_by_their_luma() -> None:
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert intensity_of_image(np.array([[[200, 100, 50]]], np.uint8))[0, 0] == pytest.approx((255 - 124) / 255)


def test_what_is_transparent_is_air() -> None:
    image = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_allclose(intensity_of_image(image), [[0.0, 1.0, 0.2]], atol=1e-7)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.ones((4, 5)), "the image is float64 of shape (4, 5); wanted: (H, W), (H, W, 1), (H, W, 3) or"),
        (GREY / np.float32(255), "Intensity (float, air 0) goes to `mipseg.pipeline.analyze`"),
        (np.ones((4, 5), bool), "bool of shape (4, 5), which is a mask"),
        (np.ones((3, 40, 50), np.uint8), "(3, 40, 50): its channels come first; move them with np.moveaxis"),
        (np.ones((4, 5, 2), np.uint8), "uint8 of shape (4, 5, 2); wanted"),
        (np.ones((4, 5, 3, 1), np.uint8), "uint8 of shape (4, 5, 3, 1); wanted"),
        (np.ones((4, 5, 3), np.uint16), "uint16 of shape (4, 5, 3); wanted"),
        (np.ones((4, 5), np.int64), "int64 of shape (4, 5); wanted"),
        (np.ones((0, 5), np.uint8), "uint8 of shape (0, 5); wanted"),
        (np.ones(5, np.uint8), "uint8 of shape (5,); wanted"),
        ([[1, 2]], "an image must be a NumPy array, not list"),
    ],
)
def test_nothing_is_guessed(image: np.ndarray, text: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(text)) as caught:
        intensity_of_image(image)
    assert isinstance(caught.value, ValueError)
