"""A real patient, STS_001: the contour of a sarcoma of the left thigh against what is known of it."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bench.smooth_bench import filtered
from scipy import ndimage

from mipseg.constants import PITCH_MM
from mipseg.growing import grow
from mipseg.io.read import read_volume
from mipseg.io.volume import Volume
from mipseg.measure.lesions_3d import label_lesions, measure_volume
from mipseg.measure.regions import DIAMETER_MM, Reference, find_liver
from mipseg.metrics import dice_score
from mipseg.model.segmenter import Segmenter
from mipseg.projection import project
from mipseg.volume_pipeline import analyze_volume
from tests.io.test_reference_data import DATA, contour_mask, needs_data
from tests.volumes import image_of_rays, make_volume, shadow

pytestmark = needs_data
FOLDER = DATA / "pet" / "STS_001"


@cache
def patient() -> Volume:
    return read_volume(FOLDER / "pet")


@cache
def tumour() -> npt.NDArray[np.bool_]:
    return contour_mask(FOLDER / "rtstruct" / "1-1.dcm", patient().affine, patient().voxels.shape)


def test_the_contour_has_the_known_maximum() -> None:
    volume, inside = patient(), tumour()
    lesion = measure_volume(volume, label_lesions(inside))[0]
    assert lesion.suv_max == pytest.approx(7.91, abs=0.005)
    assert lesion.suv_max is not None
    assert lesion.suv_peak is not None
    assert lesion.suv_mean is not None
    assert lesion.suv_mean < lesion.suv_peak < lesion.suv_max
    assert lesion.mtv_ml == pytest.approx(inside.sum() * np.prod(volume.spacing) / 1000, rel=1e-3)
    assert lesion.tlg_g == pytest.approx(lesion.mtv_ml * lesion.suv_mean)
    x, _, z = lesion.centroid_mm
    assert 40 < x < 100  # the left thigh
    assert z < -740


def test_its_projection_leads_back_to_it() -> None:
    volume, inside = patient(), tumour()
    mip = project(volume)
    rays = shadow(inside)
    mask = image_of_rays(rays, mip)
    assert dice_score(rays, mip.rays_of(mask)) > 0.98
    grown = grow(volume, mip, mask)
    # The middle of this sarcoma is colder than 41 % of its peak, so no threshold finds all of it.
    assert dice_score(inside, grown) > 0.55
    assert (grown & inside).sum() > 0.8 * grown.sum()
    assert volume.voxels[grown].max() == volume.voxels[inside].max()


def test_the_liver_is_on_the_right_and_as_bright_as_in_the_data_set() -> None:
    volume = patient()
    liver = find_liver(volume)
    assert isinstance(liver, Reference)
    x, _, z = liver.centre_mm
    assert x < -50
    assert -480 < z < -350
    mip = project(volume)
    k, _, i, _ = np.linalg.inv(volume.affine) @ [*liver.centre_mm, 1]
    near = np.ix_(*(np.abs(places - at) * side < DIAMETER_MM / 2 for places, at, side in (
        (mip.rows, k, volume.spacing[0]), (mip.columns, i, volume.spacing[2]))))  # fmt: skip
    assert 0.40 < np.median(mip.intensity[near]) < 0.60  # in 100 controls: 0.51, quartiles 0.46 and 0.55


def scaled(factor: float) -> Callable[[Volume], Volume]:
    return lambda volume: replace(volume, voxels=volume.voxels * np.float32(factor))


def noisy(volume: Volume) -> Volume:
    """With noise that grows as the root of the counts does."""
    noise = np.random.default_rng(0).standard_normal(volume.voxels.shape, np.float32)
    return replace(volume, voxels=(volume.voxels + 0.1 * np.sqrt(volume.voxels.clip(0)) * noise).clip(0))


def resampled(order: int) -> Callable[[Volume], Volume]:
    """To voxels of 2 mm, by splines of an order."""

    def change(volume: Volume) -> Volume:
        return make_volume(to_pitch(volume.voxels, volume, order), (PITCH_MM, PITCH_MM, PITCH_MM))

    return change


def to_pitch(array: npt.NDArray[Any], volume: Volume, order: int) -> npt.NDArray[Any]:
    return np.asarray(ndimage.zoom(array, [step / PITCH_MM for step in volume.spacing], order=order))


@pytest.mark.parametrize(
    "change",
    [scaled(1), scaled(0.8), scaled(1.25), lambda volume: filtered(volume, 5, 5), noisy, resampled(1), resampled(3)],
    ids=["as it is", "paler", "darker", "filtered", "noisy", "resampled linearly", "resampled by cubic splines"],
)
def test_the_networks_mark_it_however_it_is_drawn(change: Callable[[Volume], Volume], segmenter: Segmenter) -> None:
    volume, inside = change(patient()), tumour()
    if volume.voxels.shape != inside.shape:
        inside = to_pitch(inside.astype(np.uint8), patient(), 0) > 0
    result = analyze_volume(volume, segmenter)
    assert dice_score(image_of_rays(shadow(inside), result.mip), result.segmentation.tumour) > 0.6
