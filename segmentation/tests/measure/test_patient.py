"""Measurements of all lesions together, worked out by hand."""

from dataclasses import replace

import pytest

from mipseg.measure.lesions_3d import VolumeLesion
from mipseg.measure.patient import body_surface_m2, measure_patient

FIRST = VolumeLesion(1, 100.0, 30.0, 9.0, 5.0, 8.0, 150.0, (0.0, 0.0, 0.0))
SECOND = VolumeLesion(2, 50.0, 10.0, 12.0, 6.0, 7.0, 60.0, (300.0, 0.0, 400.0))
THIRD = VolumeLesion(3, 20.0, 2.0, 4.0, 3.0, None, 6.0, (10.0, 0.0, 0.0), {"suv_peak": "at the end"})


def test_sums_maxima_and_the_largest_distance() -> None:
    patient = measure_patient([FIRST, SECOND, THIRD], weight_kg=80.0, height_m=1.8)
    assert (patient.lesions, patient.total_mtv_ml, patient.total_tlg_g) == (3, 42, 216)
    assert (patient.suv_max, patient.suv_peak) == (12, 8)
    assert patient.dmax_mm == pytest.approx(500)
    assert patient.sdmax_per_m == pytest.approx(0.5 / 2.0)  # sqrt(180 * 80 / 3600) = 2 m2
    assert patient.reasons == {}


def test_body_surface() -> None:
    assert body_surface_m2(80.0, 1.8) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("weight_kg", "height_m", "missing"),
    [(80.0, None, "height"), (None, 1.8, "weight"), (None, None, "height"), (80.0, 0.0, "height")],
)
def test_sdmax_needs_weight_and_height(weight_kg: float | None, height_m: float | None, missing: str) -> None:
    patient = measure_patient([FIRST, SECOND], weight_kg, height_m)
    assert patient.dmax_mm == pytest.approx(500)
    assert patient.sdmax_per_m is None
    assert patient.reasons == {"sdmax_per_m": f"the body's {missing} is not known"}


def test_one_lesion_has_no_distance() -> None:
    patient = measure_patient([FIRST], 80.0, 1.8)
    assert (patient.dmax_mm, patient.sdmax_per_m) == (None, None)
    assert patient.reasons == dict.fromkeys(("dmax_mm", "sdmax_per_m"), "two lesions are needed")


def test_without_lesions_the_volume_is_0_and_the_rest_none() -> None:
    patient = measure_patient([])
    assert (patient.lesions, patient.total_mtv_ml, patient.total_tlg_g) == (0, 0, 0)
    assert (patient.suv_max, patient.suv_peak, patient.dmax_mm) == (None, None, None)
    assert patient.reasons["suv_max"] == patient.reasons["suv_peak"] == "no lesion"


def test_without_suv_only_what_is_geometry_is_left() -> None:
    reasons = dict.fromkeys(("suv_max", "suv_mean", "suv_peak", "tlg_g"), "no SUV (no dose)")
    plain = [
        replace(lesion, suv_max=None, suv_mean=None, suv_peak=None, tlg_g=None, reasons=reasons)
        for lesion in (FIRST, SECOND)
    ]
    patient = measure_patient(plain, 80.0, 1.8)
    assert patient.total_mtv_ml == 40
    assert patient.dmax_mm == pytest.approx(500)
    assert (patient.total_tlg_g, patient.suv_max, patient.suv_peak) == (None, None, None)
    assert patient.reasons == dict.fromkeys(("total_tlg_g", "suv_max", "suv_peak"), "no SUV (no dose)")
