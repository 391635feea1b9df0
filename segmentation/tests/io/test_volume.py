"""One patient frame for every file: axes, flips, mm, and the way back."""

from pathlib import Path

import numpy as np
import pytest

from mipseg.errors import VolumeError
from mipseg.io import volume
from mipseg.io.read import UNIT_TAKEN, read_volume
from mipseg.io.volume import MAX_VOXELS, Volume, body_median, check_affine, check_finite, check_size, occupied
from tests.io.pet_files import (
    AFFINE,
    FACTOR,
    ORIGIN,
    PHANTOM,
    SLOPE,
    SPACING,
    make_slices,
    orientations,
    turned,
    write_nifti,
    write_slices,
)

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)
ORIENTATIONS = list(orientations())


def check_is_phantom(volume: Volume) -> None:
    np.testing.assert_allclose(volume.voxels, SUV, rtol=1e-6)
    assert volume.voxels.dtype == np.float32
    assert volume.voxels.flags.c_contiguous
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.spacing == pytest.approx(SPACING, abs=1e-5)
    assert volume.unit == "suv"


def test_the_frame_is_feet_to_head_front_to_back_right_to_left() -> None:
    assert len(ORIENTATIONS) == 48
    np.testing.assert_allclose(AFFINE @ [0, 0, 0, 1], [*ORIGIN, 1])
    np.testing.assert_allclose(AFFINE @ [2, 1, 3, 1], [-11 + 3 * 2.5, 7 + 2.0, -30 + 2 * 3.0, 1])


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_nifti_of_any_orientation_gives_the_same_volume(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool], tmp_path: Path
) -> None:
    array, affine = turned(axes, flips)
    volume = read_volume(write_nifti(tmp_path / "a.nii", (array * SLOPE * FACTOR).astype(np.float32), affine))
    check_is_phantom(volume)
    np.testing.assert_allclose(volume.source.restore(volume.voxels), array * SLOPE * FACTOR, rtol=1e-6)
    np.testing.assert_allclose(volume.source.affine, affine, atol=1e-5)


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_dicom_of_any_orientation_gives_the_same_volume(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool], tmp_path: Path
) -> None:
    array, affine = turned(axes, flips)
    volume = read_volume(write_slices(tmp_path, make_slices(array, affine)))
    check_is_phantom(volume)
    restored = volume.source.restore(volume.voxels)
    for pixels, header in zip(restored, volume.source.headers, strict=True):
        np.testing.assert_allclose(pixels, array[header.InstanceNumber - 1] * SLOPE * FACTOR, rtol=1e-6)
        place = volume.source.headers.index(header)
        np.testing.assert_allclose(
            (volume.source.affine @ [place, 0, 0, 1])[:3], header.ImagePositionPatient, atol=1e-6
        )


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2000, 1000, 1000), "claims 2000 x 1000 x 1000 voxels; at most 268435456"),
        ((2**31, 2**31, 2**31), "claims 2147483648 x"),
        ((5, 5, 3), "has 5 x 5 x 3 voxels; a volume with at least 4"),
        ((5, 5), "is 2-D (5 x 5)"),
    ],
)
def test_a_size_is_refused_by_what_the_header_claims(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(VolumeError) as caught:
        check_size(shape, "a")
    assert text in str(caught.value)


def test_the_largest_size_is_read() -> None:
    check_size((MAX_VOXELS // 16, 4, 4), "a")


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ([[0, 0, 0], [0, 1, 0], [0, 0, 1]], "a spacing of 0 x 1 x 1 mm"),
        ([[101, 0, 0], [0, 1, 0], [0, 0, 1]], "a spacing of 101 x 1 x 1 mm"),
        ([[1, 0.03, 0], [0, 1, 0], [0, 0, 1]], "axes that are not at right angles"),
        ([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]], "not finite"),
        ([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], "lies 37 degrees askew"),
    ],
)
def test_a_grid_that_is_none_is_refused(columns: list[list[float]], text: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = columns
    with pytest.raises(VolumeError, match=text):
        check_affine(affine, "a")


def test_a_slight_tilt_is_said_and_stays_in_the_affine(tmp_path: Path) -> None:
    angle = np.radians(5)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volume = read_volume(write_nifti(tmp_path / "a.nii", SUV, turn @ AFFINE))
    np.testing.assert_allclose(volume.affine, turn @ AFFINE, atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, SUV)
    assert volume.warnings == ("tilted: the grid lies 5.0 degrees askew of the patient's axes", UNIT_TAKEN)


def test_voxels_that_are_no_numbers_are_counted() -> None:
    array = np.ones((2, 3, 4), np.float32)
    check_finite(array, "a")
    array[0, 0, :2] = np.inf, -np.inf
    array[1, 1, 1], array[1, 1, 2] = np.nan, -2e30
    with pytest.raises(VolumeError, match="a has 4 voxels that are NaN, infinite or beyond 1e\\+30"):
        check_finite(array, "a")


def test_the_median_of_the_body_leaves_air_out() -> None:
    voxels = np.zeros((10, 10, 10), np.float32)
    voxels[:2] = 0.8
    voxels[0, 0, :7] = 6.0
    assert body_median(voxels) == pytest.approx(0.8)
    assert body_median(np.zeros((2, 2, 2), np.float32)) == 0


def test_the_median_of_the_body_is_of_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "SAMPLE", 1000)
    voxels = np.ones((10, 20, 40), np.float32)  # every eighth voxel would be of every eighth column
    voxels[:, :, ::8] = 3
    assert body_median(voxels) == 1


def test_the_box_around_what_is_not_zero() -> None:
    labels = np.zeros((5, 6, 7), np.uint16)
    assert occupied(labels) is None
    labels[1, 2, 6] = labels[3, 4, 0] = 9
    assert occupied(labels) == (slice(1, 4), slice(2, 5), slice(0, 7))
    labels[:, :2], labels[:, 5:] = 0, 1
    assert occupied(labels[:, :5, 1:]) == (slice(1, 2), slice(2, 3), slice(5, 6))
