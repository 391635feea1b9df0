"""Colours, transparency and bit depths: turned to what they show, or refused."""

import numpy as np
import numpy.typing as npt
import pytest

from mipseg.errors import ImageError, NotGreyError
from mipseg.io.codec import decode, decode_image
from mipseg.phantom import make_phantom
from tests.serving.images import PALETTE, RGB, RGBA, build, chunk, save


def grey_of(data: bytes) -> npt.NDArray[np.uint8]:
    return decode_image(data)[:, :, 0]


def test_weak_tints_turn_to_luma() -> None:
    colours = np.array([[[255, 223, 255], [10, 20, 30], [200, 200, 200]]], np.uint8)
    np.testing.assert_array_equal(grey_of(build(colours, 8, RGB)), [[236, 18, 200]])


def coloured(grey: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    """A grey image as a colour map shows it: black-red-yellow-white, the same backwards, or blue-green-red."""
    level = grey.astype(float) / 255
    if name == "hot_r":
        level = 1 - level
    channels = [3 * level, 3 * level - 1, 3 * level - 2]
    if name == "jet":
        channels = [1.5 - abs(4 * level - centre) for centre in (3, 2, 1)]
    return np.rint(255 * np.clip(np.stack(channels, -1), 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("name", ["hot", "hot_r", "jet"])
def test_colour_maps_are_refused(name: str) -> None:
    pixels = coloured(make_phantom(2).mip, name)
    for data in (save(pixels), save(pixels, "JPEG"), save(pixels, "PNG", "P")):
        with pytest.raises(NotGreyError, match="a MIP-PET is grey"):
            decode_image(data)


def test_a_coloured_overlay_is_refused_and_the_noise_of_jpeg_is_not() -> None:
    grey = np.repeat(make_phantom(2).mip[:, :, None], 3, axis=2)
    for quality in (30, 60, 95):
        decoded = grey_of(save(grey, "JPEG", quality=quality))
        assert np.abs(decoded.astype(int) - grey[:, :, 0]).mean() < 3
    noisy = np.clip(grey + np.random.default_rng(0).integers(-14, 15, grey.shape), 0, 255).astype(np.uint8)
    assert np.abs(grey_of(save(noisy)).astype(int) - grey[:, :, 0]).mean() < 8
    grey[100:110, 100:110] = 255, 0, 0
    with pytest.raises(NotGreyError):
        decode_image(save(grey))


AIR = make_phantom(2).mip == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_air_shows_white_whatever_its_colour(mode: str) -> None:
    phantom = make_phantom(2).mip
    black = np.where(AIR, 0, phantom)
    alpha = np.where(AIR, 0, 255).astype(np.uint8)
    if mode == "RGBA":
        data = save(np.dstack([black, black, black, alpha]))
    elif mode == "LA":
        data = save(np.dstack([black, alpha]))
    else:  # the palette's colour 255 is black and transparent
        palette = bytes(value for level in range(256) for value in [level % 255] * 3)
        data = build(phantom, 8, PALETTE, 0, chunk(b"PLTE", palette) + chunk(b"tRNS", b"\xff" * 255 + b"\0"))
    np.testing.assert_array_equal(grey_of(data), phantom)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_air_around_an_inverted_body_shows_black(mode: str) -> None:
    inverted = 255 - make_phantom(2).mip
    alpha = np.where(AIR, 0, 255).astype(np.uint8)
    data = save(np.dstack([*[inverted] * (3 if mode == "RGBA" else 1), alpha]))
    np.testing.assert_array_equal(grey_of(data), inverted)


def test_what_is_half_transparent_is_half_as_dark() -> None:
    colours = np.array([[[9, 9, 9, 0], [0, 0, 0, 127], [200, 200, 200, 255]]], np.uint8)
    np.testing.assert_array_equal(grey_of(build(colours, 8, RGBA)), [[255, 128, 200]])


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_16_bit_files_are_scaled_by_the_bits_that_their_values_use(bits: int) -> None:
    phantom = make_phantom(2).mip
    decoded = decode(build(phantom.astype(np.int64) << (bits - 8), 16))
    np.testing.assert_array_equal(decoded.image[:, :, 0], phantom)
    assert decoded.bit_depth == (None if bits == 16 else bits)
    assert decode(save(phantom)).bit_depth is None


def test_16_bit_files_are_scaled_by_the_bits_that_they_name() -> None:
    dim = make_phantom(2).mip.astype(np.int64) * 4  # 10 bits of 12
    decoded = decode(build(dim, 16, before=chunk(b"sBIT", b"\x0c")))
    np.testing.assert_array_equal(decoded.image[:, :, 0], dim >> 4)
    assert decoded.bit_depth == 12
    # As the standard wants it: scaled to 16 bits, whatever the original had.
    decoded = decode(build(dim * 64, 16, before=chunk(b"sBIT", b"\x0c")))
    np.testing.assert_array_equal(decoded.image[:, :, 0], dim >> 2)
    assert decoded.bit_depth is None


def test_16_bit_colours_that_use_few_bits_are_refused() -> None:
    pixels = np.repeat(make_phantom(2).mip[:, :, None].astype(np.int64) * 16, 3, axis=2)
    with pytest.raises(ImageError, match="few of their bits"):
        decode_image(build(pixels, 16, RGB))
