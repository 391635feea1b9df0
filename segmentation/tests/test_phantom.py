from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from mipseg.phantom import Phantom, make_phantom, make_volume_phantom

SEEDS = range(10)


@cache
def patient(seed: int) -> Phantom:
    return make_phantom(seed)


@cache
def control(seed: int) -> Phantom:
    return make_phantom(seed, tumours=False)


def test_same_seed_gives_the_same_bits() -> None:
    again = make_phantom(3)
    np.testing.assert_array_equal(again.mip, patient(3).mip)
    np.testing.assert_array_equal(again.mask, patient(3).mask)


def test_other_seed_gives_another_patient() -> None:
    first, second = patient(0), patient(1)
    assert np.mean(first.mip != second.mip) > 0.2
    assert np.any(first.mask != second.mask)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 401), (200, 77), (363, 400), (426, 400), (991, 400)])
def test_any_frame_size(height: int, width: int) -> None:
    phantom = make_phantom(5, height=height, width=width)
    assert phantom.mip.shape == phantom.mask.shape == (height, width)
    assert phantom.mip.dtype == np.uint8
    assert phantom.mask.dtype == np.bool_
    assert phantom.mask.any()
    assert phantom.mip.min() < 40
    assert phantom.mip.max() > 150


@pytest.mark.parametrize("seed", range(30))
def test_smallest_frame_still_holds_a_tumour(seed: int) -> None:
    assert make_phantom(seed, height=64, width=64).mask.any()


def test_larger_frame_is_filled_with_air() -> None:
    phantom = make_phantom(2, height=1300, width=601)
    assert (phantom.mip[1100:] == 255).all()
    assert (phantom.mip[:, :150] == 255).all()
    assert (phantom.mip[:, -150:] == 255).all()
    assert (phantom.mip[300:400, 300] < 240).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_tumour_fraction_is_that_of_real_patients(seed: int) -> None:
    assert 0.0003 < patient(seed).mask.mean() < 0.20


@pytest.mark.parametrize("seed", range(5))
def test_control_has_no_tumour(seed: int) -> None:
    assert not control(seed).mask.any()


def test_tumours_are_hotter_than_their_surroundings() -> None:
    contrast = []
    for seed in SEEDS:
        mip, mask = patient(seed).mip.astype(float), patient(seed).mask
        near, far = ndimage.binary_dilation(mask, iterations=4), ndimage.binary_dilation(mask, iterations=10)
        contrast.append(mip[far & ~near].mean() - mip[mask].mean())
    assert min(contrast) > 20
    assert np.mean(contrast) > 80


@pytest.mark.parametrize("seed", range(5))
def test_tumours_are_all_that_patient_and_control_differ_in(seed: int) -> None:
    sick, well = patient(seed), control(seed)
    rise = well.mip.astype(int) - sick.mip
    around = ndimage.binary_dilation(sick.mask, iterations=8)
    assert rise[sick.mask].mean() > 60
    assert np.abs(rise[~around]).max() < 30
    assert np.mean(rise[~around] != 0) < 0.001


@pytest.mark.parametrize("seed", range(5))
def test_outline_is_near_half_of_the_contrast(seed: int) -> None:
    sick, well = patient(seed), control(seed)
    rise = well.mip.astype(int) - sick.mip
    inner = sick.mask & ~ndimage.binary_erosion(sick.mask)
    outer = ndimage.binary_dilation(sick.mask, iterations=3) & ~ndimage.binary_dilation(sick.mask, iterations=2)
    assert rise[inner].mean() > 40
    assert rise[outer].mean() < 0.4 * rise[inner].mean()


@pytest.mark.parametrize("height", [489, 928])
@pytest.mark.parametrize("seed", range(4))
def test_corners_are_air(height: int, seed: int) -> None:
    mip = patient(seed).mip if height == 489 else make_phantom(seed, height=height).mip
    for rows, width in ((slice(0, 30), 60), (slice(-30, None), 85)):
        assert (mip[rows, :width] == 255).all()
        assert (mip[rows, -width:] == 255).all()


@pytest.mark.parametrize("seed", range(5))
def test_liver_is_at_image_left(seed: int) -> None:
    mip = control(seed).mip[240:280]
    left, right = np.median(mip[:, 136:158]), np.median(mip[:, 242:264])
    assert 90 < left < 160
    assert right > left + 15


@pytest.mark.parametrize("seed", range(5))
def test_head_is_at_the_top(seed: int) -> None:
    saturated = control(seed).mip == 0
    assert saturated[:80, 150:250].sum() > 1000  # brain
    assert saturated[320:440, 150:250].sum() > 200  # bladder
    assert saturated[445:485].sum() == 0  # thighs


def test_longer_scan_shows_more_of_the_body() -> None:
    trunk = make_phantom(1, height=363, tumours=False).mip
    whole = make_phantom(1, height=928, tumours=False).mip
    assert (trunk[:80] == 0).sum() < 100  # no brain
    assert (whole[600:800, 195:205] > 250).any(axis=1).all()  # the gap between the legs
    assert ((whole[600:800] < 240).sum(axis=1) > 40).all()  # the legs


@pytest.mark.parametrize("seed", SEEDS)
def test_saturated_fraction_is_that_of_real_images(seed: int) -> None:
    assert 0.005 < np.mean(patient(seed).mip == 0) < 0.06


@pytest.mark.parametrize(("height", "width"), [(63, 400), (489, 63), (0, 0), (-489, 400)])
def test_too_small_a_frame_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"at least 64, got {height} and {width}"):
        make_phantom(0, height=height, width=width)


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_at_the_ends_is_not_hotter_than_organs(seed: int) -> None:
    suv = make_volume_phantom(seed, height=300).suv
    assert suv[[0, 1, 2, -3, -2, -1]].max() < suv[10:-10].max() < 60
