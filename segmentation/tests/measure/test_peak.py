"""SUVpeak against values in closed form."""

import tracemalloc

import numpy as np
import pytest

from mipseg.measure import peak
from mipseg.measure.peak import RADIUS_MM, VOLUME_MM3, box_around, sphere_weights, suv_peak

Spacing = tuple[float, float, float]


def one_voxel(shape: tuple[int, int, int], *index: int) -> np.ndarray:
    lesion = np.zeros(shape, bool)
    lesion[index] = True
    return lesion


def test_the_sphere_has_1_cm3() -> None:
    assert pytest.approx(VOLUME_MM3) == 4 / 3 * np.pi * RADIUS_MM**3
    # Where a voxel lies inside as a whole, its weight is its volume: 1 mm3 of 1000.
    weights = sphere_weights((1.0, 1.0, 1.0))
    assert weights[6, 6, 6] == pytest.approx(1 / 1000, rel=5e-3)
    assert weights.shape == (13, 13, 13)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("spacing", [(3.27, 4.6875, 4.6875), (2.0, 5.0, 2.0), (20.0, 20.0, 20.0), (100.0, 2.0, 2.0)])
def test_weights_are_shares_of_voxels(spacing: Spacing) -> None:
    weights = sphere_weights(spacing)
    voxel = float(np.prod(spacing))
    assert float(weights.max()) <= min(1.0, voxel / VOLUME_MM3) * 1.02
    grid = np.indices(weights.shape) - np.reshape([side // 2 for side in weights.shape], (3, 1, 1, 1))
    distance = np.sqrt(((grid * np.reshape(spacing, (3, 1, 1, 1))) ** 2).sum(axis=0))
    half = np.linalg.norm(spacing) / 2
    np.testing.assert_allclose(weights[distance + half < RADIUS_MM], voxel / VOLUME_MM3, rtol=0.02)
    assert (weights[distance - half > RADIUS_MM] == 0).all()


def test_even_uptake_is_its_own_peak() -> None:
    assert suv_peak(np.full((9, 9, 9), 5, np.float32), one_voxel((9, 9, 9), 4, 4, 4), (4.0, 4.0, 4.0)) == pytest.approx(
        5
    )


def test_of_a_slope_the_peak_is_the_value_at_the_farthest_centre() -> None:
    x = np.broadcast_to(np.arange(21, dtype=np.float32), (21, 21, 21))
    assert suv_peak(x, one_voxel((21, 21, 21), 10, 10, 10), (2.0, 2.0, 2.0)) == pytest.approx(10.5)
    assert suv_peak(20 - x, one_voxel((21, 21, 21), 10, 10, 10), (2.0, 2.0, 2.0)) == pytest.approx(10.5)


def test_the_peak_does_not_hang_on_the_direction_of_an_axis() -> None:
    random = np.random.default_rng(1)
    voxels, lesion = random.random((12, 11, 13)).astype(np.float32), np.zeros((12, 11, 13), bool)
    lesion[5:7, 4:6, 6], lesion[5, 5, 7] = True, True
    whole = suv_peak(voxels, lesion, (4.0, 5.5, 5.5))
    for axes in (0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        mirrored = suv_peak(np.flip(voxels, axes), np.flip(lesion, axes), (4.0, 5.5, 5.5))
        assert mirrored == pytest.approx(whole, rel=1e-6)


def test_of_a_paraboloid_the_peak_is_its_mean_over_the_ball() -> None:
    # The mean of r^2 over a ball of radius R is 3 R^2 / 5; voxels of 1 mm hide 1 % of that.
    grid = np.indices((31, 31, 31)) - 15
    voxels = (100 - (grid**2).sum(axis=0)).astype(np.float32)
    found = suv_peak(voxels, one_voxel((31, 31, 31), 15, 15, 15), (1.0, 1.0, 1.0))
    assert found is not None
    assert 100 - found == pytest.approx(3 * RADIUS_MM**2 / 5, rel=0.02)


def test_the_sphere_need_not_lie_around_the_hottest_voxel() -> None:
    voxels = np.zeros((15, 15, 40), np.float32)
    voxels[3:12, 3:12, 3:20] = 8
    voxels[7, 7, 30] = 12  # noise
    lesion = voxels > 0
    assert suv_peak(voxels, lesion, (2.0, 2.0, 2.0)) == pytest.approx(8)
    assert suv_peak(voxels, one_voxel(voxels.shape, 7, 7, 30), (2.0, 2.0, 2.0)) == pytest.approx(
        12 * 8 / 1000, rel=0.02
    )


def test_no_sphere_fits_at_the_end_of_the_scan() -> None:
    voxels = np.ones((9, 9, 9), np.float32)
    assert suv_peak(voxels, one_voxel((9, 9, 9), 0, 4, 4), (4.0, 4.0, 4.0)) is None
    assert suv_peak(voxels, one_voxel((9, 9, 9), 2, 4, 4), (4.0, 4.0, 4.0)) == pytest.approx(1)


def test_the_part_around_a_lesion_gives_the_same_peak() -> None:
    voxels = np.random.default_rng(0).random((30, 30, 30)).astype(np.float32)
    lesion = np.zeros(voxels.shape, bool)
    lesion[10:14, 12:15, 1:9] = True
    box = box_around((slice(10, 14), slice(12, 15), slice(1, 9)), voxels.shape, (2.0, 3.0, 2.5))
    assert voxels[box].size < voxels.size / 4
    whole = suv_peak(voxels, lesion, (2.0, 3.0, 2.5))
    assert suv_peak(voxels[box], lesion[box], (2.0, 3.0, 2.5)) == pytest.approx(whole)


@pytest.mark.parametrize("planes", [1, 4, 7])
def test_a_tall_lesion_in_parts_has_the_same_peak(planes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_FEW", 0)
    voxels = np.random.default_rng(0).random((30, 12, 12)).astype(np.float32)
    lesion = np.zeros(voxels.shape, bool)
    lesion[2:28, 5:7, 5:7] = True
    whole = suv_peak(voxels, lesion, (2.0, 3.0, 2.5))
    monkeypatch.setattr(peak, "_SLAB", planes)
    assert suv_peak(voxels, lesion, (2.0, 3.0, 2.5)) == pytest.approx(whole, rel=1e-12)


def test_of_a_lesion_of_many_planes_the_peak_may_lie_on_both_sides_of_a_part() -> None:
    voxels, lesion = np.zeros((150, 11, 11), np.float32), np.zeros((150, 11, 11), bool)
    lesion[5:145, 5, 5] = True
    voxels[62:67] = 1  # around plane 64, where the second part begins
    whole = suv_peak(voxels[50:80], lesion[50:80], (2.0, 3.0, 3.0))
    assert whole is not None
    assert 0.9 < whole < 1
    assert suv_peak(voxels, lesion, (2.0, 3.0, 3.0)) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.27, 4.07, 4.07), (5.5, 5.5, 5.5), (12.0, 2.0, 2.0)])
def test_voxels_of_usual_size_are_counted_from_8_points_or_one_a_mm(spacing: Spacing) -> None:
    points = [max(8, int(np.ceil(side))) for side in spacing]
    fine = [np.abs((np.arange(n) + 0.5) / n - 0.5) * side for n, side in zip(points, spacing, strict=True)]
    z, y, x = np.ix_(*((each**2).ravel() for each in fine))
    share = np.mean(z + y + x <= RADIUS_MM**2) * np.prod(spacing) / VOLUME_MM3
    weights = sphere_weights(spacing)
    assert weights[tuple(side // 2 for side in weights.shape)] == pytest.approx(float(share), rel=0.02)


def test_small_voxels_take_no_more_points_than_they_need() -> None:
    tracemalloc.start()
    weights = sphere_weights((0.5, 0.5, 0.51))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20_000_000  # a point each 0.06 mm would take 400 MB
    assert weights.max() == pytest.approx(0.5 * 0.5 * 0.51 / VOLUME_MM3, rel=0.01)


@pytest.mark.parametrize("few", [0, 10_000])
def test_few_and_many_centres_have_the_same_peak(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_FEW", few)
    random = np.random.default_rng(0)
    voxels, lesion = random.random((20, 18, 22), np.float32), random.random((20, 18, 22)) < 0.1
    assert suv_peak(voxels, lesion, (3.0, 4.0, 2.5)) == pytest.approx(0.63942, abs=1e-5)
