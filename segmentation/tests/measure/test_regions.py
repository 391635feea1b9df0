"""The liver: found where phantoms have it, or a reason; and PERCIST's level."""

import numpy as np
import pytest

from mipseg.measure.regions import BLOOD_POOL_REASON, Reference, find_liver, find_references, percist_level
from mipseg.phantom import make_volume_phantom
from tests.volumes import ORIGIN_MM, ball, make_volume, volume_of_phantom

NONE = "no even region on the patient's right is as hot and as large as a liver"
SHAPE = (100, 50, 80)
LIVER = ball(SHAPE, (50, 25, 20), 60.0)


def body(liver: float) -> np.ndarray:
    voxels = np.zeros(SHAPE)
    voxels[:, 5:45, 5:75] = 0.6
    voxels[LIVER] = liver
    return voxels


@pytest.mark.parametrize("seed", range(100, 103))
def test_in_phantoms_the_liver_is_found(seed: int) -> None:
    volume = volume_of_phantom(make_volume_phantom(seed, height=489))
    liver = find_liver(volume)
    assert isinstance(liver, Reference)
    assert 1.8 < liver.suv_mean < 2.8  # drawn with 2.0 to 2.5
    place = np.linalg.inv(volume.affine) @ [*liver.centre_mm, 1]
    assert 60 < place[2] < 140  # on the right
    assert 100 < place[0] < 300


def test_a_liver_is_measured_at_its_middle() -> None:
    liver = find_liver(make_volume(body(2.2)))
    assert isinstance(liver, Reference)
    assert liver.suv_mean == pytest.approx(2.2)
    assert liver.suv_sd == pytest.approx(0, abs=1e-6)
    middle = np.add(ORIGIN_MM, (20 * 4, 25 * 4, 50 * 4))
    assert liver.centre_mm == pytest.approx(tuple(middle), abs=10)


def test_the_spread_is_that_of_the_voxels() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, SHAPE)
    liver = find_liver(make_volume(body(2.2) + noise * LIVER))
    assert isinstance(liver, Reference)
    assert liver.suv_mean == pytest.approx(2.2, abs=0.1)
    assert liver.suv_sd == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("suv", [0.7, 5.5])
def test_what_is_no_liver_is_not_taken_for_one(suv: float) -> None:
    assert find_liver(make_volume(body(suv))) == NONE


def test_a_liver_on_the_left_is_not_taken() -> None:
    assert find_liver(make_volume(body(2.2)[:, :, ::-1])) == NONE


def test_no_body_and_no_suv() -> None:
    assert find_liver(make_volume(np.zeros(SHAPE))) == "no body is visible"
    assert find_liver(make_volume(body(2.2), unit="bqml")) == "no SUV (no dose)"


def test_a_volume_smaller_than_the_sphere_has_none() -> None:
    assert find_liver(make_volume(np.full((2, 2, 2), 2.2))) == NONE


def test_references_carry_their_reasons() -> None:
    found = find_references(make_volume(body(2.2)))
    assert found.liver is not None
    assert (found.blood_pool, found.reasons) == (None, {"blood_pool": BLOOD_POOL_REASON})
    assert set(find_references(make_volume(body(0.7))).reasons) == {"liver", "blood_pool"}


def test_percist_level() -> None:
    assert percist_level(Reference(2.0, 0.3, (0.0, 0.0, 0.0), 30.0)) == pytest.approx(3.6)
