"""What is done to images is recognised, undone where it can be, and said."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from mipseg.repair import PLAIN, InputWarning, doubts, repair
from mipseg.types import BinaryMask, GreyImage
from tests.repair.bodies import (
    SEEDS,
    blurred,
    in_greys,
    in_viewer,
    in_window,
    intensity,
    phantom,
    resized,
    with_colour_bar,
    with_dot,
    with_noisy_bars,
    with_ruler,
    with_text,
)

Change = Callable[[GreyImage], npt.NDArray[np.uint8]]


def pad(pixels: tuple[int, int], shade: int) -> Change:
    return lambda image: np.pad(image, ((pixels[0],) * 2, (pixels[1],) * 2), constant_values=shade)


def thin_frame(image: GreyImage) -> GreyImage:
    return np.pad(np.pad(image, 1), 20, constant_values=255)


def frame_in_a_frame(image: GreyImage) -> GreyImage:
    return thin_frame(thin_frame(image))


def bars_with_text(image: GreyImage) -> GreyImage:
    return with_text(np.pad(image, ((0, 0), (60, 60))), "R", 24, shade=255)


@pytest.mark.parametrize(
    ("seed", "height"), [*((seed, height) for seed in SEEDS for height in (350, 489)), (28, 350), (38, 350), (22, 930)]
)
def test_a_phantom_passes_as_it_is(seed: int, height: int) -> None:
    wanted = intensity(phantom(seed, height))
    repaired = repair(wanted)
    assert repaired.warnings == ()
    np.testing.assert_array_equal(repaired.intensity, wanted)
    mask = wanted > 0.5
    np.testing.assert_array_equal(repaired.restore(mask), mask)
    np.testing.assert_array_equal(repaired.restore(wanted), wanted)


@pytest.mark.parametrize("change", [
    pad((0, 100), 0), pad((0, 12), 0), pad((80, 0), 0), pad((12, 12), 0), pad((260, 80), 0),
    pad((0, 100), 40), pad((0, 60), 225), thin_frame, frame_in_a_frame, bars_with_text, with_noisy_bars, in_viewer,
], ids=["100 px", "12 px", "letterbox", "frame", "wide frame", "grey", "pale", "in a margin", "two frames", "with text",
        "noisy", "in a viewer"])  # fmt: skip
@pytest.mark.parametrize("seed", SEEDS)
def test_bars_and_frames_are_cut_off(seed: int, change: Change) -> None:
    plain, changed = intensity(phantom(seed)), intensity(change(phantom(seed)))
    repaired = repair(changed)
    assert repaired.warnings == (InputWarning.BORDER_REMOVED,)
    np.testing.assert_array_equal(repaired.intensity, plain)
    mask = repaired.restore(plain > 0.5)
    assert mask.shape == changed.shape
    top, left = ((full - part) // 2 for full, part in zip(changed.shape, plain.shape, strict=True))
    expected = np.zeros(changed.shape, bool)
    expected[top : top + plain.shape[0], left : left + plain.shape[1]] = plain > 0.5
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("change", [
    with_colour_bar, with_ruler, with_dot,
    lambda image: with_text(image, "R", 24), lambda image: with_text(image, "SUV 0-6", 12),
], ids=["colour bar", "ruler", "dot", "letter", "text"])  # fmt: skip
@pytest.mark.parametrize("seed", SEEDS)
def test_marks_beside_the_body_are_blanked(seed: int, change: Change) -> None:
    plain, changed = intensity(phantom(seed)), intensity(change(phantom(seed)))
    repaired = repair(changed)
    assert repaired.warnings == (InputWarning.BORDER_REMOVED,)
    assert repaired.intensity.shape == plain.shape
    # Nothing but the mark's pale end (below the level of a body) is left of it, and nothing of the body is lost.
    left = np.abs(repaired.intensity - plain)
    assert left.max() <= 0.1
    assert (left > 0).sum() < 600


@pytest.mark.parametrize("seed", SEEDS)
def test_an_inverted_image_becomes_exactly_what_was_meant(seed: int) -> None:
    inverted = 255 - phantom(seed)
    for image in (inverted, np.pad(inverted, ((0, 0), (50, 50)), constant_values=255), in_viewer(inverted)):
        repaired = repair(intensity(image))
        assert repaired.warnings[0] == InputWarning.INVERTED
        np.testing.assert_array_equal(repaired.intensity, intensity(phantom(seed)))


@pytest.mark.parametrize(("darkest", "palest"), [(0, 235), (0, 200), (50, 200), (0, 100)])
@pytest.mark.parametrize("seed", SEEDS)
def test_grey_air_becomes_white(seed: int, darkest: int, palest: int) -> None:
    greys = in_greys(phantom(seed), darkest, palest)
    wanted = intensity(in_greys(phantom(seed), round(255 * darkest / palest), 255))
    repaired = repair(intensity(greys))
    assert repaired.warnings == (InputWarning.GREY_AIR,)
    np.testing.assert_allclose(repaired.intensity, wanted, atol=2 / palest)
    if palest >= 200:  # else an inverted image does not have dark air
        repaired = repair(intensity(255 - greys))
        assert repaired.warnings == (InputWarning.INVERTED, InputWarning.GREY_AIR)
        np.testing.assert_allclose(repaired.intensity, wanted, atol=2 / palest)


@pytest.mark.parametrize("seed", SEEDS)
def test_grey_air_in_a_dark_viewer_becomes_white(seed: int) -> None:
    repaired = repair(intensity(in_viewer(in_greys(phantom(seed), 0, 225))))
    assert repaired.warnings == (InputWarning.GREY_AIR, InputWarning.BORDER_REMOVED)
    np.testing.assert_allclose(repaired.intensity, intensity(phantom(seed)), atol=2 / 225)


def test_a_part_of_a_body_without_air_has_no_grey_air() -> None:
    """Its palest pixels are too few to be air."""
    assert InputWarning.GREY_AIR not in repair(intensity(phantom(2)[100:330, 150:250])).warnings


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_turned_body_is_turned_upright_and_its_mask_back(seed: int, turns: int) -> None:
    plain, changed = intensity(phantom(seed)), intensity(np.rot90(phantom(seed), turns))
    repaired = repair(changed)
    assert repaired.warnings == (InputWarning.ORIENTATION,)
    np.testing.assert_array_equal(repaired.intensity, plain)
    np.testing.assert_array_equal(repaired.restore(plain > 0.5), changed > 0.5)


def test_steps_are_undone_in_the_opposite_order() -> None:
    """Bars, an inversion, other pixels and a turn at once; a lesion is found at its place."""
    image = phantom(2).copy()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    spot: BinaryMask = np.hypot(y - 200, x - 260) < 9
    changed = np.pad(255 - np.rot90(resized(image, 1.5)), ((0, 0), (100, 30)), constant_values=128)
    repaired = repair(intensity(changed), spacing=(2 / 1.5, 2 / 1.5))
    assert repaired.intensity.shape == image.shape
    assert {InputWarning.INVERTED, InputWarning.BORDER_REMOVED, InputWarning.ORIENTATION} == set(repaired.warnings)
    found = repaired.restore(spot)
    expected = np.pad(np.rot90(resized(spot.astype(np.uint8) * 255, 1.5)) >= 128, ((0, 0), (100, 30)))
    assert found.shape == changed.shape
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.98


@pytest.mark.parametrize(("change", "code"), [
    (lambda image: resized(image, 0.6), InputWarning.SCALE),
    (lambda image: resized(image, 1.6), InputWarning.SCALE),
    (lambda image: np.hstack([image, image]), InputWarning.SEVERAL_BODIES),
    (lambda image: np.hstack([image, np.ascontiguousarray(image[:, ::2])]), InputWarning.SEVERAL_BODIES),
    (lambda image: in_window(image, 2), InputWarning.WINDOW),
    (lambda image: in_window(image, 20), InputWarning.WINDOW),
    (lambda image: blurred(image, 2), InputWarning.SMOOTH),
    (lambda image: image // 36 * 36, InputWarning.SMOOTH),
    (lambda image: image[:110], InputWarning.PART_OF_BODY),
    (lambda image: image[:, :195], InputWarning.PART_OF_BODY),
], ids=[
    "x 0.6", "x 1.6", "twice", "two views", "to SUV 2", "to SUV 20", "blurred", "8 greys", "head", "half"
])  # fmt: skip
@pytest.mark.parametrize("seed", SEEDS)
def test_what_can_not_be_repaired_is_said(seed: int, change: Change, code: InputWarning) -> None:
    assert code in repair(intensity(change(phantom(seed)))).warnings


@pytest.mark.parametrize(
    "change", [lambda image: blurred(image, 1), lambda image: image // 16 * 16, lambda image: resized(image, 2)]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_little_smooth_is_not_said(seed: int, change: Change) -> None:
    """Nor are pixels that are smooth only until the body has its usual size."""
    assert InputWarning.SMOOTH not in repair(intensity(change(phantom(seed)))).warnings


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_bodies_above_each_other_are_said(seed: int) -> None:
    above = np.vstack([phantom(seed)[20:470]] * 2)  # without air between them
    assert InputWarning.SEVERAL_BODIES in repair(intensity(above)).warnings


def test_legs_alone_are_part_of_a_body() -> None:
    assert InputWarning.PART_OF_BODY in repair(intensity(phantom(0, 930)[520:])).warnings


@pytest.mark.parametrize("shade", [0, 100, 255])
def test_a_uniform_image_has_no_body(shade: int) -> None:
    repaired = repair(np.full((300, 200), shade / 255, np.float32))
    assert repaired.warnings == (InputWarning.UNIFORM,)
    assert not repaired.has_body


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 300), (300, 3)])
def test_every_shape_is_judged_and_restored(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0).random(shape, np.float32)
    for values in (random, np.zeros(shape, np.float32), np.ones(shape, np.float32), (random > 0.5).astype(np.float32)):
        repaired = repair(values)
        assert repaired.warnings
        assert repaired.restore(repaired.intensity).shape == shape


def test_a_speck_is_no_body() -> None:
    image = np.zeros((300, 300), np.float32)
    image[150:154, 150:154] = 1
    repaired = repair(image)
    assert repaired.warnings == (InputWarning.NO_BODY,)
    assert not repaired.has_body


def test_a_body_of_less_than_a_hundredth_of_the_image_is_none() -> None:
    image = np.full((489, 400), 255, np.uint8)
    image[200:249, 180:220] = resized(phantom(2), 0.1)
    assert repair(intensity(image)).warnings == (InputWarning.NO_BODY,)


ROWS, COLUMNS = np.mgrid[:400, :400]
RADIUS = np.hypot(ROWS - 200, COLUMNS - 200)


@pytest.mark.parametrize("drawing", [
    np.where(RADIUS < 90, 0.8, 0),
    np.where((RADIUS < 150) & (RADIUS > 120), 0.5, 0),
    np.where(np.hypot((ROWS - 200) / 2.5, COLUMNS - 200) < 60, 0.23, 0),
    np.where((abs(ROWS - 200) < 100) & (abs(COLUMNS - 200) < 100), 1, 0),
    (ROWS // 40 + COLUMNS // 40) % 2,
    COLUMNS / 400,
    ROWS / 400,
], ids=["disc", "ring", "ellipse", "square", "chess board", "gradient", "gradient downwards"])  # fmt: skip
def test_a_drawing_is_no_body(drawing: npt.NDArray[np.float64]) -> None:
    repaired = repair(drawing.astype(np.float32))
    assert repaired.warnings == (InputWarning.NO_BODY,)
    assert not repaired.has_body


def test_an_even_body_with_something_hot_in_it_is_a_body() -> None:
    image = np.where((abs(ROWS - 200) < 150) & (abs(COLUMNS - 200) < 80), 0.3, 0)
    image[100:116, 150:170] = 1
    assert repair(image.astype(np.float32)).has_body


def test_noise_is_said_and_no_mark() -> None:
    image = phantom(2).copy()
    image[np.random.default_rng(0).random(image.shape) < 0.06] = 0
    repaired = repair(intensity(image))
    assert InputWarning.NOISE in repaired.warnings
    assert InputWarning.BORDER_REMOVED not in repaired.warnings
    np.testing.assert_array_equal(repaired.intensity, intensity(image))


def test_an_image_without_air_and_a_small_one_are_said() -> None:
    body = intensity(phantom(2)[100:330, 150:250])
    assert InputWarning.NO_AIR in repair(body).warnings
    assert InputWarning.SMALL in repair(intensity(phantom(2)[:99])).warnings


def test_a_mask_over_more_than_half_of_the_body_is_implausible() -> None:
    image, mask = np.zeros((10, 20), np.float32), np.zeros((10, 20), bool)
    image.flat[:80] = 0.3
    mask.flat[:40] = True
    assert doubts(image, mask) == ()
    mask.flat[40] = True
    assert doubts(image, mask) == (InputWarning.IMPLAUSIBLE,)


def test_every_code_has_words() -> None:
    assert set(PLAIN) == set(InputWarning)
    assert all(words.endswith(".") and len(words) < 180 for words in PLAIN.values())
