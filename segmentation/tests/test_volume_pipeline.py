"""A volume in, everything that is known about it out."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from mipseg.errors import ArgumentError, VolumeError
from mipseg.growing import grow
from mipseg.io.volume import Volume
from mipseg.metrics import dice_score
from mipseg.model.segmenter import Segmentation, Segmenter
from mipseg.phantom import make_volume_phantom
from mipseg.volume_pipeline import CORRECTED, VolumeOptions, analyze_volume, correct_volume
from tests.volumes import ball, make_volume, volume_of_phantom

SHAPE = (110, 50, 100)


class Threshold(Segmenter):
    """Instead of networks: tumour is what saturates."""

    def __init__(self) -> None:
        pass

    def segment(self, intensity: Any) -> Segmentation:
        return Segmentation(intensity >= 1, intensity, 1.0)


@cache
def two_lesions() -> np.ndarray:
    voxels = np.zeros(SHAPE)
    voxels[:, 5:45, 5:95] = 0.6
    voxels[ball(SHAPE, (60, 25, 25), 60.0)] = 2.0
    voxels[ball(SHAPE, (80, 20, 70), 20.0)] = 10
    voxels[ball(SHAPE, (20, 30, 40), 12.0)] = 8
    return voxels


def test_real_networks_find_a_phantoms_tumours(segmenter: Segmenter) -> None:
    truth = make_volume_phantom(1014)
    result = analyze_volume(volume_of_phantom(truth), segmenter)
    assert dice_score(truth.mask, result.labels > 0) > 0.7
    assert result.segmentation.tumour.shape == result.mip.intensity.shape
    assert len(result.lesions) == result.patient.lesions == result.labels.max()
    assert result.patient.total_mtv_ml == pytest.approx((result.labels > 0).sum() * 0.02)
    assert result.references.liver is not None
    assert result.warnings == []


def test_lesions_are_numbered_measured_and_summed() -> None:
    result = analyze_volume(make_volume(two_lesions()), Threshold())
    large, small = result.lesions
    assert (result.labels[80, 20, 70], result.labels[20, 30, 40]) == (1, 2)
    assert (large.suv_max, small.suv_max) == (10, 8)
    assert large.mtv_ml == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.1)
    assert small.mtv_ml == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.2)
    assert result.patient.total_mtv_ml == pytest.approx(large.mtv_ml + small.mtv_ml)
    assert result.patient.dmax_mm == pytest.approx(np.hypot(np.hypot(60 * 4, 10 * 4), 30 * 4), abs=1)
    assert result.patient.reasons == {"sdmax_per_m": "the body's height is not known"}


def test_the_rule_liver_takes_the_level_of_the_liver() -> None:
    volume = make_volume(two_lesions())
    result = analyze_volume(volume, Threshold(), VolumeOptions("liver"))
    assert result.references.liver is not None
    assert result.references.liver.suv_mean == pytest.approx(2.0)
    wanted = grow(volume, result.mip, result.segmentation.tumour, "liver", 1.5 * 2.0)
    np.testing.assert_array_equal(result.labels > 0, wanted)


def test_without_a_liver_its_rule_is_refused() -> None:
    voxels = np.where(two_lesions() == 2.0, 0.6, two_lesions())
    with pytest.raises(ArgumentError, match="the rule liver needs a liver, and none was found"):
        analyze_volume(make_volume(voxels), Threshold(), VolumeOptions("liver"))


def test_without_suv_a_window_gives_masks_but_no_suv() -> None:
    volume = make_volume(two_lesions() * 1000, unit="bqml")
    with pytest.raises(VolumeError, match="give a window"):
        analyze_volume(volume, Threshold())
    result = analyze_volume(volume, Threshold(), VolumeOptions(window_top=6000.0))
    assert [lesion.suv_max for lesion in result.lesions] == [None, None]
    assert result.patient.reasons["total_tlg_g"] == "no SUV (no dose)"
    assert result.references.reasons["liver"] == "no SUV (no dose)"
    assert result.patient.total_mtv_ml > 30


def test_sdmax_takes_weight_and_height_of_the_volume() -> None:
    volume = replace(make_volume(two_lesions()), weight_kg=80.0, height_m=1.8)
    result = analyze_volume(volume, Threshold())
    corrected = correct_volume(volume, result, result.segmentation.tumour)
    for patient in (result.patient, corrected.patient):
        assert patient.dmax_mm is not None
        assert patient.sdmax_per_m == pytest.approx(patient.dmax_mm / 1000 / 2)


def test_nothing_found_is_measured_as_nothing() -> None:
    result = analyze_volume(make_volume(np.minimum(two_lesions(), 2.0)), Threshold())
    assert not result.labels.any()
    assert (result.lesions, result.patient.total_mtv_ml, result.patient.suv_max) == ([], 0, None)


@cache
def phantom() -> Volume:
    return volume_of_phantom(make_volume_phantom(1014))


def _stretched(volume: Volume) -> Volume:
    z, y, x = (2 * side for side in volume.spacing)
    return replace(volume, spacing=(z, y, x))


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda volume: volume, None),
        (lambda volume: replace(volume, voxels=volume.voxels[::-1]), "orientation: the body does not seem to stand"),
        (
            lambda volume: replace(volume, voxels=volume.voxels * 5),
            "window: the body is unusually faint or bright; the SUV",
        ),
        (lambda volume: replace(volume, voxels=volume.voxels / 5), "window"),
        (lambda volume: replace(volume, voxels=volume.voxels[:200]), "part-of-body"),
        (_stretched, "scale: the body is unusually large, small, long or wide; the header's spacing"),
    ],
    ids=["sound", "upside down", "too hot", "too cold", "legs alone", "wrong spacing"],
)
def test_an_odd_volume_is_doubted(change: Callable[[Volume], Volume], warning: str | None) -> None:
    class Nothing(Threshold):  # hot noise saturates in hundreds of places, which take long to grow
        def segment(self, intensity: Any) -> Segmentation:
            return Segmentation(np.zeros(intensity.shape, bool), intensity, 0.0)

    found = analyze_volume(change(phantom()), Nothing()).warnings
    assert any(text.startswith(warning) for text in found) if warning else found == []


def test_where_there_is_no_body_there_is_no_tumour() -> None:
    class Everything(Threshold):
        def segment(self, intensity: Any) -> Segmentation:
            return Segmentation(np.ones(intensity.shape, bool), intensity, 1.0)

    result = analyze_volume(make_volume(np.full(SHAPE, 0.05)), Everything())
    assert result.warnings == ["uniform"]
    assert (result.segmentation.has_tumour, result.lesions) == (0.0, [])


def test_a_body_that_fills_a_volume_is_not_taken_for_an_inverted_image() -> None:
    voxels = np.full((20, 24, 28), 1.0)  # without air around it
    voxels[12:16, 4:8, 20:24] = 15
    result = analyze_volume(make_volume(voxels), Threshold())
    assert len(result.lesions) == 1
    assert not {"inverted", "no-body"} & set(result.warnings)


def test_a_corrected_mask_is_grown_and_measured_anew() -> None:
    volume = make_volume(two_lesions())
    result = analyze_volume(volume, Threshold())
    large, small = result.lesions
    assert result.origins == {1: "automatic", 2: "automatic"}
    mask = result.segmentation.tumour.copy()
    mask[: mask.shape[0] // 2] = False  # the large one, near the head
    row = int(abs(result.mip.rows - 60).argmin())
    column = int(abs(result.mip.columns - 25).argmin())
    mask[row - 10 : row + 11, column - 10 : column + 11] = True  # what the model does not mark

    corrected = correct_volume(volume, result, 255 * mask.astype(np.uint8), "suv4")
    kept = corrected.labels[20, 30, 40]
    assert corrected.lesions[kept - 1].mtv_ml == pytest.approx(small.mtv_ml, rel=0.2)
    assert corrected.labels[80, 20, 70] == 0
    assert corrected.origins == {number: "semiautomatic" if number == kept else "manual" for number in (1, 2)}
    assert corrected.patient.lesions == 2
    np.testing.assert_array_equal(corrected.segmentation.tumour, mask)
    assert corrected.warnings == [*result.warnings, CORRECTED]
    assert result.lesions == [large, small]


def test_a_corrected_mask_has_the_images_shape() -> None:
    volume = make_volume(two_lesions())
    result = analyze_volume(volume, Threshold())
    with pytest.raises(ArgumentError, match=r"the mask's shape is \(3, 4\), but the image's is"):
        correct_volume(volume, result, np.zeros((3, 4), bool))
