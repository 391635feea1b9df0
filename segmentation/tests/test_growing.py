"""From a mask of the projection to a tumour in 3-D: each rule, what bounds it, and a lesion behind a bladder."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from mipseg import growing
from mipseg.errors import ArgumentError
from mipseg.growing import Rule, grow
from mipseg.metrics import dice_score
from mipseg.phantom import make_volume_phantom
from mipseg.projection import project
from tests.volumes import ball, image_of_rays, make_volume, shadow, volume_of_phantom

Tumour = npt.NDArray[np.bool_]
SHAPE = (60, 40, 60)
BLADDER = ball(SHAPE, (30, 11, 30), 28.0)
LESION = ball(SHAPE, (30, 25, 36), 20.0)


def scan(*parts: tuple[Tumour, float], blur: float = 0.7) -> npt.NDArray[np.float32]:
    """A body of SUV 0.7 with these parts in it; the blur is in voxels."""
    voxels = np.full(SHAPE, 0.7, np.float32)
    for inside, suv in parts:
        voxels[inside] = suv
    return np.asarray(ndimage.gaussian_filter(voxels, blur))


def estimate(voxels: npt.NDArray[np.float32], rays: Tumour, rule: Rule = "41%max") -> Tumour:
    """What grows on these rays."""
    volume = make_volume(voxels)
    mip = project(volume)
    return grow(volume, mip, image_of_rays(rays, mip), rule, 3.0)


@pytest.mark.parametrize("rule", ["41%max", "suv4", "liver"])
def test_a_lesion_alone_is_found_again(rule: Rule) -> None:
    assert dice_score(LESION, estimate(scan((LESION, 8.0)), shadow(LESION), rule)) > 0.93


@pytest.mark.parametrize(("rule", "level"), [("41%max", 0.41 * 10), ("suv4", 4.0), ("liver", 3.0)])
def test_the_rules_levels(rule: Rule, level: float) -> None:
    steps = np.full(SHAPE, 0.7, np.float32)
    steps[30, 20, 25:35] = np.linspace(10, 1, 10)  # 10, 9, ... 1
    rays = np.zeros((60, 60), bool)
    rays[30, 25:35] = True
    steps[30, 21, 25:35] = steps[30, 20, 25:35] - 0.05  # behind the hottest, a little cooler
    grown = estimate(steps, rays, rule)
    np.testing.assert_array_equal(grown[30, 20], [value >= 1 for value in steps[30, 20]])  # the hottest of each ray
    np.testing.assert_array_equal(grown[30, 21], steps[30, 21] >= level)


@pytest.mark.parametrize("shift", [0, 4, 7])
def test_a_lesion_behind_a_bladder_does_not_become_the_bladder(shift: int) -> None:
    lesion = ball(SHAPE, (30, 28, 30 + shift), 16.0)
    grown = estimate(scan((BLADDER, 20.0), (lesion, 8.0)), shadow(lesion))
    assert not (grown & BLADDER).any()
    assert dice_score(lesion, grown) > 0.9


def test_rays_beside_a_hidden_lesion_keep_nothing_of_the_bladder() -> None:
    lesion = ball(SHAPE, (30, 28, 30), 16.0)
    wide = np.asarray(ndimage.binary_dilation(shadow(lesion), iterations=1))
    grown = estimate(scan((BLADDER, 20.0), (lesion, 8.0)), wide)
    assert not (grown & BLADDER).any()
    assert dice_score(lesion, grown) > 0.85


def test_a_mask_that_shows_the_whole_bladder_is_believed() -> None:
    assert dice_score(BLADDER, estimate(scan((BLADDER, 20.0)), shadow(BLADDER))) > 0.93


def test_a_lesion_is_not_given_up_for_a_cooler_one_behind_it() -> None:
    hot, cool = ball(SHAPE, (30, 10, 30), 16.0), ball(SHAPE, (30, 30, 30), 16.0)
    grown = estimate(scan((hot, 12.0), (cool, 6.0)), shadow(hot))
    assert dice_score(hot, grown) > 0.9
    assert not (grown & cool).any()


def test_a_mask_of_half_a_lesion_gives_the_half() -> None:
    half = LESION & (np.arange(60) < 36)
    grown = estimate(scan((LESION, 8.0)), shadow(half))
    assert dice_score(half, grown) > 0.9
    assert not grown[:, :, 36:].any()


def test_two_lesions_under_one_mask_have_a_peak_each() -> None:
    hot, cool = ball(SHAPE, (30, 12, 26), 14.0), ball(SHAPE, (30, 30, 33), 14.0)
    grown = estimate(scan((hot, 20.0), (cool, 5.0)), shadow(hot | cool))
    assert dice_score(hot | cool, grown) > 0.9
    assert (grown & cool).sum() > 0.8 * cool.sum()


def test_a_faint_region_is_one_lesion_at_the_depth_of_what_is_there() -> None:
    lesion = ball(SHAPE, (30, 25, 30), 20.0)
    noise = np.random.default_rng(0).uniform(0, 1.2, SHAPE).astype(np.float32)
    grown = estimate(scan((lesion, 1.2)) + noise, shadow(lesion))
    np.testing.assert_array_equal(shadow(grown), shadow(lesion))
    assert ndimage.label(grown, growing.NEIGHBOURS_18)[1] == 1
    assert dice_score(lesion, grown) > 0.75


def test_rays_beside_a_lesion_are_as_deep_as_it() -> None:
    voxels = scan((LESION, 8.0))
    voxels[::2, 36, ::2] = 5  # hot spots that are smaller than a scanner's resolution
    wide = np.asarray(ndimage.binary_dilation(shadow(LESION), iterations=3))
    grown = estimate(voxels, wide)
    np.testing.assert_array_equal(shadow(grown), wide)
    assert ndimage.label(grown, growing.NEIGHBOURS_18)[1] == 1
    beside = np.argwhere(grown & ~shadow(LESION)[:, None])
    assert len(beside) == wide.sum() - shadow(LESION).sum()
    assert LESION[:, beside[:, 1]].any(axis=(0, 2)).all()


def test_rays_beside_a_lesion_with_a_cold_middle_are_not_in_its_gap() -> None:
    hot = np.zeros(SHAPE, bool)
    hot[25:36, 10:21, 25:36] = True
    voxels = scan((hot, 8.0), blur=0)
    voxels[25:36, 13:18, 25:36] = 1  # what is left in front and behind hangs together at one side
    voxels[25:36, 10:21, 25] = 8
    wide = np.asarray(ndimage.binary_dilation(shadow(hot), iterations=2))
    grown = estimate(voxels, wide)
    np.testing.assert_array_equal(shadow(grown), wide)
    assert ndimage.label(grown, growing.NEIGHBOURS_18)[1] == 1
    assert not grown[:, 13:18, 26:].any()


@pytest.mark.parametrize("air", [0.0, -0.1])
def test_a_mask_of_air_is_one_voxel_deep_on_its_rays(air: float) -> None:
    rays = np.zeros((60, 60), bool)
    rays[20:30, 20:30] = True
    grown = estimate(np.full(SHAPE, air, np.float32), rays)
    assert grown.sum() == rays.sum()
    np.testing.assert_array_equal(shadow(grown), rays)


def test_a_small_mask_needs_no_large_lesion() -> None:
    voxels = scan(blur=0)
    voxels[30, 20, 30] = 9  # 16 mm2, of which a scanner shows no smaller
    rays = np.zeros((60, 60), bool)
    rays[30, 30:32] = True
    assert np.argwhere(estimate(voxels, rays)).tolist() == [[30, 20, 30], [30, 20, 31]]


def test_a_lesion_ends_two_radii_along_the_ray() -> None:
    tube = np.zeros(SHAPE, bool)
    tube[28:33, :, 28:33] = True  # as long as the body is deep
    voxels = scan((tube, 8.0), blur=0)
    voxels[28:33, 3, 28:33] = 9
    grown = estimate(voxels, shadow(tube))
    assert grown[30, :, 30].sum() == 3 + 1 + 2 * 3 + 1  # in front as far as there is, behind 2 radii and a voxel


def test_lesions_are_connected_over_edges_but_not_over_corners() -> None:
    voxels = scan(blur=0)
    voxels[30, 20, 30] = voxels[31, 21, 30] = 9
    voxels[31, 20, 30] = 9.5
    voxels[32, 22, 31] = 8  # shares a corner with (31, 21, 30)
    voxels[32, 25, 31] = 8.5  # hides it
    rays = np.zeros((60, 60), bool)
    rays[30:32, 30] = rays[32, 31] = True
    grown = estimate(voxels, rays)
    assert grown[31, 21, 30]
    assert not grown[32, 22, 31]
    assert grown[32].any(axis=0)[31]  # one voxel, as deep as the lesion


def test_the_estimate_projects_to_the_mask() -> None:
    phantom = make_volume_phantom(8, height=300)
    volume = volume_of_phantom(phantom)
    mip = project(volume)
    mask = image_of_rays(shadow(phantom.mask), mip)
    grown = grow(volume, mip, mask)
    np.testing.assert_array_equal(shadow(grown), shadow(phantom.mask))
    assert dice_score(phantom.mask, grown) > 0.85


@pytest.mark.parametrize("share", [0.95, 0.4])
def test_how_far_is_looked_first_changes_nothing(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = volume_of_phantom(make_volume_phantom(1003, height=200))
    mip = project(volume)
    usual = grow(volume, mip, mip.intensity > share)
    for reach in (1, 1000):
        monkeypatch.setattr(growing, "_FIRST_REACH", reach)
        np.testing.assert_array_equal(grow(volume, mip, mip.intensity > share), usual)


def test_no_mask_no_tumour() -> None:
    assert not estimate(scan((LESION, 8.0)), np.zeros((60, 60), bool)).any()


@pytest.mark.parametrize("peak", [8.0, 4.0])  # 41 % of it are above SUV 2.5, and below
def test_in_another_unit_the_window_stands_for_suv(peak: float) -> None:
    voxels = scan((LESION, peak))
    volume = make_volume(voxels * 1000, unit="bqml")
    mip = project(volume, 6000)
    mask = image_of_rays(shadow(LESION), mip)
    np.testing.assert_array_equal(grow(volume, mip, mask), estimate(voxels, shadow(LESION)))
    with pytest.raises(ArgumentError, match="the rule suv4 needs SUV; no dose"):
        grow(volume, mip, mask, "suv4")


def test_bad_arguments() -> None:
    volume = make_volume(scan((LESION, 8.0)))
    mip = project(volume)
    mask = image_of_rays(shadow(LESION), mip)
    with pytest.raises(ArgumentError, match=r"the rule must be one of 41%max, suv4, liver, not '50%max'"):
        grow(volume, mip, mask, "50%max")  # type: ignore[arg-type] # what a user may type
    with pytest.raises(ArgumentError, match="the rule liver needs a liver"):
        grow(volume, mip, mask, "liver")
    with pytest.raises(ArgumentError, match=r"the mask's shape is \(2, 2\)"):
        grow(volume, mip, mask[:2, :2])
