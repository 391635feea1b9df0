"""The image of a volume: which voxel makes which pixel, for any orientation of the file, and the way back."""

from pathlib import Path

import numpy as np
import pytest

from mipseg.constants import PITCH_MM
from mipseg.errors import ArgumentError, VolumeError
from mipseg.io.read import read_volume
from mipseg.io.volume import Grid, Volume, spacing_of, to_patient_frame
from mipseg.phantom import make_phantom, make_volume_phantom
from mipseg.projection import WIDTH, project
from tests.io.pet_files import make_slices, orientations, turned, write_nifti, write_slices
from tests.volumes import image_of_rays, make_volume, shadow, volume_of_phantom

ORIENTATIONS = list(orientations())
ASYMMETRIC = np.random.default_rng(0).uniform(0, 8, (30, 11, 21)).astype(np.float32)


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_any_orientation_of_the_file_gives_the_same_image(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool], tmp_path: Path
) -> None:
    wanted = project(read_volume(write_nifti(tmp_path / "wanted.nii"), unit="suv")).intensity
    array, affine = turned(axes, flips)
    nifti = read_volume(write_nifti(tmp_path / "a.nii", (array * 0.001).astype(np.float32), affine), unit="suv")
    np.testing.assert_allclose(project(nifti).intensity, wanted, atol=1e-6)
    dicom = read_volume(write_slices(tmp_path / "dicom", make_slices(array, affine)))
    np.testing.assert_allclose(project(dicom).intensity, wanted, atol=1e-6)
    assert np.ptp(wanted) > 0.02


def test_head_up_and_the_right_at_the_left() -> None:
    voxels = np.zeros((30, 20, 40))
    voxels[28, 3, 1] = 3  # near the head, in front, on the right
    voxels[2, 15, 38] = 6  # near the feet, at the back, on the left
    mip = project(make_volume(voxels, (2.0, 2.0, 2.0)))
    assert mip.intensity.shape == (30, WIDTH)
    assert [tuple(place) for place in np.argwhere(mip.intensity > 0)] == [(1, 181), (27, 218)]
    assert (mip.intensity[1, 181], mip.intensity[27, 218]) == (0.5, 1)
    assert (mip.depth[28, 1], mip.depth[2, 38]) == (3, 15)
    assert mip.spacing == (PITCH_MM, PITCH_MM)


def test_at_the_training_pitch_pixels_are_the_maxima_of_their_rays() -> None:
    mip = project(make_volume(ASYMMETRIC[:, :, :20], (2.0, 3.0, 2.0)))
    wanted = np.minimum(ASYMMETRIC[:, :, :20].max(axis=1) / 6, 1)[::-1]
    np.testing.assert_allclose(mip.intensity[:, 190:210], wanted, rtol=1e-6)
    assert not mip.intensity[:, :190].any()
    assert not mip.intensity[:, 210:].any()


def test_coarse_voxels_are_interpolated_between_their_centres() -> None:
    # Two columns of 4 mm, 0 and 6: their centres lie at -2 and +2 mm, pixels at -3, -1, 1, 3 mm.
    voxels = np.zeros((2, 2, 2))
    voxels[:, :, 1] = 6
    mip = project(make_volume(voxels))
    np.testing.assert_allclose(mip.intensity[0, 197:203], [0, 0, 0.25, 0.75, 1, 0], atol=1e-6)
    assert mip.intensity.shape == (4, WIDTH)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_volume_phantom_has_the_image_of_the_phantom(seed: int) -> None:
    image, volume = make_phantom(seed), make_volume_phantom(seed)
    mip = project(volume_of_phantom(volume))
    # The phantom's image has 8 bits: half a grey level of difference.
    np.testing.assert_allclose(mip.intensity, 1 - image.mip / 255, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(image_of_rays(shadow(volume.mask), mip), image.mask)
    np.testing.assert_array_equal(mip.rays_of(image.mask), shadow(volume.mask))


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.0, 2.0, 2.0), (3.27, 5.0, 4.6875), (1.3, 2.0, 1.1)])
def test_rays_and_pixels_lead_back_to_each_other(spacing: tuple[float, float, float]) -> None:
    mip = project(make_volume(ASYMMETRIC, spacing))
    place = np.argwhere(mip.depth >= 0)[37 * 3]
    row = np.abs(mip.rows - place[0]).argmin()
    column = np.abs(mip.columns - place[1]).argmin()
    mask = np.zeros(mip.intensity.shape, bool)
    mask[max(row - 3, 0) : row + 4, column - 3 : column + 4] = True
    rays = mip.rays_of(mask)
    assert rays[tuple(place)]
    area = rays.sum() * spacing[0] * spacing[2]
    assert area == pytest.approx(mask.sum() * PITCH_MM**2, rel=0.45)
    centre = np.argwhere(rays).mean(axis=0)
    np.testing.assert_allclose(centre, place, atol=1.5)


def test_a_single_pixel_keeps_a_ray() -> None:
    mip = project(make_volume(ASYMMETRIC, (5.0, 5.0, 5.0)))
    mask = np.zeros(mip.intensity.shape, bool)
    mask[10, 200] = True
    rays = mip.rays_of(mask)
    assert rays.sum() == 1
    (place,) = np.argwhere(rays)
    np.testing.assert_allclose(place, [mip.rows[10], mip.columns[200]], atol=0.5)
    assert not mip.rays_of(np.zeros_like(mask)).any()


def test_the_window_scales_the_image() -> None:
    volume = make_volume(ASYMMETRIC, (2.0, 2.0, 2.0))
    wide, usual = project(volume, 12.0), project(volume)
    np.testing.assert_allclose(2 * wide.intensity.clip(0, 0.5), usual.intensity.clip(0, 1), atol=1e-6)
    assert (wide.window_top, usual.window_top) == (12, 6)


def test_without_suv_a_window_is_needed() -> None:
    volume = make_volume(ASYMMETRIC * 1000, unit="bqml")
    with pytest.raises(VolumeError, match=r"no SUV \(no dose\); to show it all the same, give a window"):
        project(volume)
    np.testing.assert_allclose(project(volume, 6000.0).intensity, project(make_volume(ASYMMETRIC)).intensity, atol=1e-6)


@pytest.mark.parametrize("top", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_that_is_none(top: float) -> None:
    with pytest.raises(ArgumentError, match="the window's top must be a number above 0"):
        project(make_volume(ASYMMETRIC), top)


def test_air_beside_a_wide_volume_is_cut_off_and_a_body_is_not_without_a_word() -> None:
    voxels = np.zeros((4, 4, 100))
    voxels[:, :, 20:80] = 3
    quiet = project(make_volume(voxels, (10.0, 10.0, 10.0)))
    assert quiet.warnings == ()
    assert (quiet.intensity > 0.25).sum(axis=1).min() == 300
    voxels[:, :, 5] = 3
    assert project(make_volume(voxels, (10.0, 10.0, 10.0))).warnings == (
        "cropped: what lies beyond 800 mm was cut off",
    )


def test_a_tower_is_refused() -> None:
    with pytest.raises(VolumeError, match="is 3000 mm tall; at most 2500 mm"):
        project(make_volume(np.ones((30, 4, 4)), (100.0, 4.0, 4.0)))


def test_a_mask_of_another_size_is_refused() -> None:
    mip = project(make_volume(ASYMMETRIC))
    with pytest.raises(ArgumentError, match=r"the mask's shape is \(3, 400\), but the image's is \(60, 400\)"):
        mip.rays_of(np.zeros((3, 400), bool))


def test_negative_values_are_air() -> None:
    assert project(make_volume(ASYMMETRIC - 100)).intensity.max() == 0


def test_the_spot_on_the_image_leads_to_its_place_in_the_patient() -> None:
    array, affine = turned((2, 0, 1), (True, False, True))
    voxels, matrix, source, _ = to_patient_frame(Grid(array.astype(np.float32), affine), "nifti")
    volume = Volume(voxels, matrix, spacing_of(matrix), "suv", source)
    mip = project(volume, 300.0)
    z, x = np.unravel_index(voxels.max(axis=1).argmax(), mip.depth.shape)
    place = volume.affine @ [z, mip.depth[z, x], x, 1]
    own = np.unravel_index(array.argmax(), array.shape)
    np.testing.assert_allclose(place, affine @ [*own, 1], atol=1e-9)
