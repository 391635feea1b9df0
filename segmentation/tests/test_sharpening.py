"""Volumes that are too smooth, sharpened for the networks."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from bench.smooth_bench import coarse, filtered
from scipy import ndimage

from mipseg.io.volume import Volume
from mipseg.metrics import dice_score
from mipseg.model.segmenter import Segmenter
from mipseg.phantom import make_volume_phantom
from mipseg.projection import project
from mipseg.sharpening import SLAB, filter_of, sharp_view
from mipseg.volume_pipeline import analyze_volume
from tests.volumes import make_volume, volume_of_phantom


@cache
def phantom(seed: int = 3021) -> Volume:
    return volume_of_phantom(make_volume_phantom(seed))


def detail(image: np.ndarray) -> float:
    """Root mean square of what a small blur takes away, where there is tissue."""
    tissue = (image > 0.06) & (image < 0.6)
    return float(np.sqrt(((image - ndimage.gaussian_filter(image, 1.5))[tissue] ** 2).mean()))


def test_what_is_as_sharp_as_the_data_set_is_left_alone() -> None:
    for seed in (3021, 3022):
        volume = phantom(seed)
        assert filter_of(volume, project(volume)) == (0, 0)


@pytest.mark.parametrize("fwhm", [(6.0, 6.0), (7.5, 5.0), (0.0, 6.0), (6.0, 0.0)])
def test_the_filter_is_found_along_the_body_and_across_it(fwhm: tuple[float, float]) -> None:
    volume = filtered(phantom(), *fwhm)
    assert filter_of(volume, project(volume)) == pytest.approx(fwhm, abs=1.3)


def test_air_and_what_is_even_have_no_filter() -> None:
    voxels = np.zeros((40, 20, 40))
    assert filter_of(make_volume(voxels), project(make_volume(voxels))) == (0, 0)
    voxels[5:35, 5:15, 5:35] = 2
    assert filter_of(make_volume(voxels), project(make_volume(voxels))) == (0, 0)


def test_a_piece_with_little_tissue_has_no_filter() -> None:
    volume = filtered(phantom(), 6, 6)
    piece = replace(volume, voxels=volume.voxels[200:210])
    assert filter_of(piece, project(piece)) == (0, 0)
    larger = replace(volume, voxels=volume.voxels[200:300])
    assert filter_of(larger, project(larger)) == pytest.approx((6, 6), abs=1.5)


@pytest.mark.parametrize("change", [lambda volume: filtered(volume, 6, 6), lambda volume: coarse(volume, 2)])
def test_the_sharp_view_has_the_detail_of_the_volume_before_its_filter(change: object) -> None:
    before = phantom()
    after: Volume = change(before)  # type: ignore[operator]
    mip = project(after)
    view = sharp_view(after, mip, filter_of(after, mip))
    assert view.shape == mip.intensity.shape
    assert view.dtype == np.float32
    assert (view.min(), view.max()) == (0, 1)
    wanted = detail(project(before).intensity)
    assert detail(mip.intensity) < 0.7 * wanted
    assert detail(view) == pytest.approx(wanted, rel=0.25)


def test_slabs_and_boxes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = filtered(phantom(), 6, 6)
    mip = project(volume)
    view = sharp_view(volume, mip, (6, 6))
    assert len(mip.hottest) > 3 * SLAB
    monkeypatch.setattr("mipseg.sharpening.SLAB", 1000)
    monkeypatch.setattr("mipseg.sharpening.AIR", -1.0)
    np.testing.assert_allclose(view, sharp_view(volume, mip, (6, 6)), atol=0.002)


def test_the_networks_see_it_sharpened_and_it_is_measured_as_it_is(segmenter: Segmenter) -> None:
    truth = make_volume_phantom(3021)
    volume = filtered(volume_of_phantom(truth), 6, 6)
    result = analyze_volume(volume, segmenter)
    (warning,) = (warning for warning in result.warnings if warning.startswith("sharpened"))
    assert "as after a filter of " in warning
    np.testing.assert_array_equal(result.mip.intensity, project(volume).intensity)
    assert result.lesions[0].suv_max == volume.voxels[result.labels == 1].max()
    unsharpened = segmenter.segment(result.mip.intensity).tumour
    reference = project(replace(volume, voxels=truth.mask.astype(np.float32)), 1).intensity >= 0.5
    assert dice_score(reference, result.segmentation.tumour) > dice_score(reference, unsharpened) + 0.05
