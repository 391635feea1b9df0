"""Images that were enlarged without interpolation."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from mipseg.repair import InputWarning, repair
from mipseg.repair.repeats import without_repeats
from mipseg.types import GreyImage
from tests.repair.bodies import SEEDS, intensity, phantom, resized


def blocks(image: GreyImage, down: int, across: int) -> GreyImage:
    """Means of so many pixels in place of each of them."""
    height, width = image.shape[0] // down, image.shape[1] // across
    coarse = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BOX)
    return np.kron(np.asarray(coarse), np.ones((down, across), np.uint8))


@pytest.mark.parametrize(("down", "across"), [(2, 2), (3, 3), (2, 3)])
@pytest.mark.parametrize("seed", SEEDS)
def test_repeated_pixels_are_said_and_interpolated(seed: int, down: int, across: int) -> None:
    changed = intensity(blocks(phantom(seed), down, across))
    repaired = repair(changed)
    assert InputWarning.REPEATED in repaired.warnings
    assert repaired.intensity.shape == changed.shape
    plain = intensity(phantom(seed))[: changed.shape[0], : changed.shape[1]]
    off, off_before = (np.abs(image - plain).mean() for image in (repaired.intensity, changed))
    assert off < 0.95 * off_before


@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 2), (2, 1)])
def test_a_part_that_begins_within_a_pixel_lies_where_the_whole_does(top: int, left: int) -> None:
    whole = intensity(blocks(phantom(2), 3, 3))
    found, expected = without_repeats(whole[top:, left:]), without_repeats(whole)[top:, left:]
    np.testing.assert_allclose(found[6:-6, 6:-6], expected[6:-6, 6:-6], atol=1e-3)


@pytest.mark.parametrize("image", [
    phantom(0), np.repeat(phantom(0), 2, 0), np.repeat(phantom(0), 2, 1), resized(phantom(0), 2),
    np.full((60, 60), 128, np.uint8), np.kron(np.eye(4, dtype=np.uint8) * 255, np.ones((9, 9), np.uint8)),
], ids=["plain", "rows alone", "columns alone", "interpolated", "even", "few changes"])  # fmt: skip
def test_other_images_are_left_alone(image: GreyImage) -> None:
    seen = intensity(image)
    assert without_repeats(seen) is seen
