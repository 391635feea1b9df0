"""Measurements of lesions: spheres in closed form, and what can't be computed."""

import numpy as np
import pytest

from mipseg.measure.lesions_3d import label_lesions, measure_volume
from tests.volumes import ORIGIN_MM, ball, make_volume

SPACING = (2.0, 3.0, 2.5)
SHAPE = (60, 40, 50)


def test_a_sphere_has_the_measures_of_its_formulas() -> None:
    sphere = ball(SHAPE, (30, 20, 24), 22.0, SPACING)
    voxels = np.where(sphere, 6.0, 1.0)
    (lesion,) = measure_volume(make_volume(voxels, SPACING), label_lesions(sphere))
    ml = 4 / 3 * np.pi * 2.2**3
    assert lesion.id == 1
    assert lesion.mtv_ml == pytest.approx(ml, rel=0.01)
    assert lesion.mtv_ml == pytest.approx(sphere.sum() * 15e-3)
    assert (lesion.suv_max, lesion.suv_mean) == (6, 6)
    assert lesion.suv_peak == pytest.approx(6)
    assert lesion.tlg_g == pytest.approx(6 * ml, rel=0.01)
    assert lesion.area_mm2 == pytest.approx(np.pi * 22**2, rel=0.01)
    x, y, z = ORIGIN_MM
    assert lesion.centroid_mm == pytest.approx((x + 24 * 2.5, y + 20 * 3, z + 30 * 2), abs=1e-6)
    assert lesion.reasons == {}


def test_tlg_is_volume_times_mean() -> None:
    voxels = np.ones((20, 20, 20))
    voxels[8:12, 8:12, 8:10] = 4
    voxels[8:12, 8:12, 10:12] = 8
    (lesion,) = measure_volume(make_volume(voxels), label_lesions(voxels > 1))
    assert lesion.mtv_ml == pytest.approx(64 * 0.064)
    assert (lesion.suv_mean, lesion.suv_max) == (6, 8)
    assert lesion.tlg_g == pytest.approx(64 * 0.064 * 6)
    assert lesion.area_mm2 == 16 * 16


def test_components_are_18_connected_and_numbered_by_size() -> None:
    tumour = np.zeros((10, 10, 10), bool)
    tumour[1, 1, 1] = tumour[2, 2, 1] = True  # share an edge
    tumour[3, 3, 2] = True  # shares a corner
    tumour[6:8, 6:8, 6:8] = True
    labels = label_lesions(tumour)
    assert labels.dtype == np.uint16
    assert (labels[6, 6, 6], labels[1, 1, 1], labels[2, 2, 1], labels[3, 3, 2]) == (1, 2, 2, 3)
    np.testing.assert_array_equal(labels > 0, tumour)


def test_no_tumour_has_no_lesions() -> None:
    labels = label_lesions(np.zeros((5, 5, 5), bool))
    assert not labels.any()
    assert measure_volume(make_volume(np.ones((5, 5, 5))), labels) == []


def test_what_needs_suv_is_none_with_the_reason() -> None:
    tumour = ball((20, 20, 20), (10, 10, 10), 20.0)
    (lesion,) = measure_volume(make_volume(np.where(tumour, 9e3, 1e3), unit="bqml"), label_lesions(tumour))
    assert (lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.tlg_g) == (None, None, None, None)
    assert lesion.reasons == dict.fromkeys(("suv_max", "suv_mean", "suv_peak", "tlg_g"), "no SUV (no dose)")
    assert lesion.mtv_ml > 0


def test_a_lesion_at_the_end_of_the_scan_has_no_peak() -> None:
    tumour = np.zeros((20, 20, 20), bool)
    tumour[0, 10, 10] = True
    (lesion,) = measure_volume(make_volume(np.ones((20, 20, 20))), label_lesions(tumour))
    assert lesion.suv_peak is None
    assert lesion.reasons == {"suv_peak": "no sphere of 1 cm3 around it lies in the volume"}
    assert lesion.suv_max == 1
