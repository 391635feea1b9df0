from typing import Any

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from mipseg.io.arrays import intensity_of_image
from mipseg.model.atlas import SHAPE, AtlasGrid, atlas_maps, make_atlas
from mipseg.phantom import make_phantom


def body(seed: int) -> np.ndarray:
    return intensity_of_image(make_phantom(seed, tumours=False).mip)


def larger(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """An image at rows / 4 times its height and columns / 4 times its width."""
    return np.ascontiguousarray(image.repeat(rows, 0).repeat(columns, 1)[2::4, 2::4])


@pytest.fixture(scope="module")
def atlas() -> np.ndarray:
    return make_atlas([body(seed) for seed in range(20, 32)])


def test_atlas_is_made_of_mean_and_deviation(atlas: AtlasGrid) -> None:
    assert atlas.shape == (2, *SHAPE)
    assert atlas.dtype == np.float32
    assert 0 <= atlas.min() <= atlas[0].max() <= 1
    # Somewhere the brain is hot in everybody, and somewhere bodies differ.
    assert atlas[0].max() > 0.5
    assert 0.02 < atlas[1].max() < 0.5


def test_bodies_that_are_alike_have_no_deviation() -> None:
    one = body(20)
    alike = make_atlas([one, one])
    assert alike[1].max() < 1e-3
    # And the mean is the body, blurred to cells, at its own place.
    mean = atlas_maps(one, alike)[0]
    assert np.abs(mean - one).mean() < 0.25 * one.mean()
    np.testing.assert_allclose(center_of_mass(mean), center_of_mass(one), atol=1)


def test_bodies_are_aligned_before_they_are_averaged() -> None:
    assert make_atlas([body(20), larger(body(20), 5, 5)])[1].mean() < 0.02


def test_maps_of_some_columns_are_those_of_the_whole(atlas: AtlasGrid) -> None:
    image = body(4)
    np.testing.assert_array_equal(atlas_maps(image, atlas, slice(64, 320)), atlas_maps(image, atlas)[:, :, 64:320])


@pytest.mark.parametrize("shape", [(1, 1), (1, 991), (400, 1), (63, 65), (991, 400)])
@pytest.mark.parametrize("make", [np.zeros, np.ones, np.random.default_rng(0).random], ids=["air", "hot", "noise"])
def test_any_image_gets_maps_of_its_shape(atlas: AtlasGrid, shape: tuple[int, int], make: Any) -> None:
    maps = atlas_maps(make(shape).astype(np.float32), atlas)
    assert maps.shape == (2, *shape)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()


@pytest.mark.parametrize(("down", "right"), [(3, 0), (0, 24), (40, -16), (80, 8)])
def test_atlas_follows_a_body_that_lies_elsewhere(atlas: AtlasGrid, down: int, right: int) -> None:
    room = ((96, 96), (96, 96))
    moved = np.pad(body(3), room)
    here = atlas_maps(moved, atlas)
    there = atlas_maps(np.roll(moved, (down, right), (0, 1)), atlas)
    assert np.abs(np.roll(here, (down, right), (1, 2)) - there).mean() < 0.1 * here.mean()


@pytest.mark.parametrize(("rows", "columns"), [(4, 5), (5, 4), (5, 5)])
def test_atlas_is_stretched_as_a_body_is(atlas: AtlasGrid, rows: int, columns: int) -> None:
    one = body(4)
    here, there = atlas_maps(one, atlas)[0], atlas_maps(larger(one, rows, columns), atlas)[0]
    assert np.abs(larger(here, rows, columns) - there).mean() < 0.12 * there.mean()


def test_beyond_the_atlas_its_edge_goes_on(atlas: AtlasGrid) -> None:
    marked = atlas.copy()
    marked[:, -1] = 0.5
    maps = atlas_maps(np.pad(body(3), ((0, 400), (0, 0))), marked)
    np.testing.assert_allclose(maps[:, -100:], 0.5)


def test_a_mirrored_image_gets_the_mirrored_atlas(atlas: AtlasGrid) -> None:
    # Phantoms have their liver on one side. One that fits both sides alike keeps the atlas as it is.
    one = body(3)
    straight, mirrored = atlas_maps(one, atlas), atlas_maps(np.ascontiguousarray(one[:, ::-1]), atlas)
    assert np.abs(straight[:, :, ::-1] - mirrored).mean() < 0.05 * straight.mean()
    even = np.maximum(one, one[:, ::-1])
    liver = atlas_maps(even, atlas)[0] - atlas_maps(even, atlas)[0][:, ::-1]
    assert np.sign(liver[:, :200].sum()) == np.sign((straight[0] - straight[0][:, ::-1])[:, :200].sum())


def test_a_tumour_is_off_from_the_atlas_more_than_the_rest(atlas: AtlasGrid) -> None:
    off = []
    for seed in range(4):
        phantom = make_phantom(seed)
        mean, deviation = atlas_maps(intensity_of_image(phantom.mip), atlas)
        z = (intensity_of_image(phantom.mip) - mean) / (deviation + 0.05)
        off.append(z[phantom.mask].mean() - z[~phantom.mask].mean())
    assert min(off) > 1


@pytest.mark.parametrize(("seed", "rows"), [(7, slice(0, 192)), (6, slice(120, None))])
def test_what_a_image_lacks_does_not_pull(atlas: AtlasGrid, seed: int, rows: slice) -> None:
    # An image that ends at the hips, and one that begins at the shoulders: what is left keeps its place.
    whole = body(seed)
    there = atlas_maps(np.ascontiguousarray(whole[rows]), atlas)[0]
    assert np.abs(atlas_maps(whole, atlas)[0][rows] - there).mean() < 0.07 * there.mean()
