import numpy as np
import pytest

from mipseg.io.arrays import intensity_of_image
from mipseg.model.preprocess import (
    BODY_LEVEL,
    LOG_MEAN,
    MARGIN,
    MAX_BRIGHTENING,
    MAX_PALING,
    MAX_TILE,
    MIN_WIDTH,
    MULTIPLE,
    TOLERANCE,
    body_columns,
    match_window,
    pad,
    tiles,
)
from mipseg.phantom import make_phantom
from mipseg.types import Intensity


def body(level: float, saturated: bool = False) -> Intensity:
    """A body whose mean intensity is off the usual one by a natural log of `level`, in air."""
    intensity = np.zeros((200, 160), np.float32)
    intensity[20:180, 40:120] = np.exp(LOG_MEAN + level)
    if saturated:
        intensity[40:44, 60:64] = 1
    return intensity


@pytest.mark.parametrize("level", [-TOLERANCE + 0.01, 0.0, TOLERANCE - 0.01])
def test_usual_window_is_left_alone(level: float) -> None:
    np.testing.assert_allclose(match_window(body(level)), body(level), rtol=1e-6)


@pytest.mark.parametrize(
    ("level", "left"), [(-0.5, -TOLERANCE), (-0.2, -TOLERANCE), (0.2, TOLERANCE), (0.5, 0.35), (0.9, 0.75)]
)
def test_other_windows_are_brought_to_the_edge_of_the_usual(level: float, left: float) -> None:
    matched = match_window(body(level))
    assert np.log(matched[100, 80]) - LOG_MEAN == pytest.approx(left, abs=0.01)
    assert matched[0, 0] == 0
    assert matched.dtype == np.float32


@pytest.mark.parametrize(("level", "left"), [(-1.5, -1.5 + MAX_BRIGHTENING), (0.8, 0.8 - MAX_PALING)])
def test_correction_ends_somewhere(level: float, left: float) -> None:
    assert np.log(match_window(body(level))[100, 80]) - LOG_MEAN == pytest.approx(left, abs=0.01)


def test_what_a_narrow_window_saturates_stays_saturated() -> None:
    matched = match_window(body(0.5, saturated=True))
    assert matched.max() == pytest.approx(1)
    assert matched[100, 80] < 0.9 * body(0.5)[100, 80]


def test_what_a_wide_window_shows_saturates_at_most() -> None:
    assert match_window(body(-0.5, saturated=True)).max() == 1


@pytest.mark.parametrize("air", [0, BODY_LEVEL - 0.001])
def test_air_beside_a_body_does_not_count(air: float) -> None:
    wide = np.pad(body(0.5), ((0, 0), (300, 300)), constant_values=air)
    np.testing.assert_allclose(match_window(wide)[:, 300:-300], match_window(body(0.5)), rtol=1e-6)


def test_images_of_two_windows_come_together() -> None:
    intensity = intensity_of_image(make_phantom(1).mip)
    halved = match_window(intensity * np.float32(0.6))
    assert np.abs(halved - match_window(intensity)).mean() < 0.25 * np.abs(intensity * 0.6 - intensity).mean()


@pytest.mark.parametrize("intensity", [np.zeros((9, 9)), np.ones((9, 9)), np.eye(300)])
def test_images_without_a_body_are_left_alone(intensity: Intensity) -> None:
    np.testing.assert_array_equal(match_window(intensity.astype(np.float32)), intensity)


@pytest.mark.parametrize("left", [0, 3, 90, 180, 270])
def test_body_columns_hold_the_body_and_its_margin(left: float) -> None:
    intensity = np.zeros((100, 400), np.float32)
    intensity[:, left : left + 130] = 0.3
    columns = body_columns(intensity)
    assert columns.start <= max(0, left - MARGIN)
    assert columns.stop >= min(400, left + 130 + MARGIN)
    assert (columns.stop - columns.start) % MULTIPLE == 0
    assert columns.stop - columns.start < 400


def test_image_without_a_body_is_kept_whole() -> None:
    assert body_columns(np.zeros((50, 70), np.float32)) == slice(0, 70)


def test_wide_body_is_kept_whole() -> None:
    assert body_columns(np.full((50, 400), 0.5, np.float32)) == slice(0, 400)


@pytest.mark.parametrize(("shape", "padded"), [
    ((1, 1), (64, MIN_WIDTH)), ((2336, 3), (2368, MIN_WIDTH)), ((64, 64), (64, MIN_WIDTH)), ((64, 128), (64, 128)),
    ((65, 400), (128, 448)), ((991, 256), (1024, 256)),
])  # fmt: skip
def test_pad_adds_air_below_and_to_the_right(shape: tuple[int, int], padded: tuple[int, int]) -> None:
    image = pad(np.ones(shape, np.float32))
    assert image.shape == padded
    assert image[: shape[0], : shape[1]].all()
    assert image.sum() == shape[0] * shape[1]


@pytest.mark.parametrize("shape", [(1, 1), (991, 400), MAX_TILE])
def test_an_image_of_the_usual_size_is_one_tile(shape: tuple[int, int]) -> None:
    (tile,) = tiles(*shape)
    whole = slice(0, shape[0]), slice(0, shape[1])
    assert tile == (whole, whole, whole)


def test_a_long_image_is_cut_in_the_middle_of_what_tiles_share() -> None:
    first, second = tiles(1500, 400)
    assert [tile.seen[0] for tile in (first, second)] == [slice(0, 1024), slice(476, 1500)]
    assert [tile.kept[0] for tile in (first, second)] == [slice(0, 750), slice(750, 1500)]
    assert [tile.answer[0] for tile in (first, second)] == [slice(0, 750), slice(274, 1024)]


@pytest.mark.parametrize("shape", [(1025, 1), (1, 513), (1414, 1414), (10_000, 200), (200, 10_000), (897, 385)])
def test_tiles_keep_every_pixel_once_and_overlap(shape: tuple[int, int]) -> None:
    kept = np.zeros(shape, int)
    for tile in tiles(*shape):
        kept[tile.kept] += 1
        for axis in (0, 1):
            seen, inside, place = tile.seen[axis], tile.kept[axis], tile.answer[axis]
            assert 0 < seen.stop - seen.start <= MAX_TILE[axis]
            assert (seen.start + place.start, seen.start + place.stop) == (inside.start, inside.stop)
            assert inside.start == 0 or inside.start - seen.start >= 64
            assert inside.stop == shape[axis] or seen.stop - inside.stop >= 64
    assert (kept == 1).all()
