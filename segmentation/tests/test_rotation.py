"""The film that turns: which pixel a voxel becomes from each side."""

import numpy as np
import pytest

from mipseg.rotation import FRAMES, rotate
from tests.volumes import make_volume


def test_places_from_the_front_the_left_and_between() -> None:
    # A body of 4 x 20 x 20 voxels; hot: the upper plane, in front, at the patient's left.
    voxels = np.zeros((4, 24, 24), np.float32)
    voxels[:, 2:22, 2:22] = 1.0
    voxels[3, 2, 21] = 6.0
    labels = (voxels == 6).astype(np.uint16) * 7
    rotation = rotate(make_volume(voxels), labels, 6.0)
    # The radius is half of the diagonal of 20 voxels and a voxel more: 14.4, so 2 x 15 columns; the axis behind 14.
    assert (rotation.intensity.shape, rotation.pixel_mm) == ((18, 4, 30), (4, 4))
    assert np.array_equal(rotation.intensity == 255, rotation.lesions == 7)
    hot = [sorted(map(tuple, np.argwhere(frame == 255).tolist())) for frame in rotation.intensity]
    # From the front it is at the right edge of the body, columns 5 to 24; from the left at the left edge.
    assert (hot[0], hot[9]) == ([(0, 24)], [(0, 5)])
    # Towards 45 degrees it lies on the axis: 9.5 (cos a - sin a) voxels from it, 1.0 at 40 and -1.0 at 50 degrees.
    assert {column for _, column in hot[4]} <= {15, 16}
    assert {column for _, column in hot[5]} <= {13, 14}
    assert set(np.unique(rotation.intensity[0]).tolist()) == {0, 42, 255}  # 255 / 6 is 42.5, rounded to the even


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.0, 1.3, 1.3), (5.0, 2.7, 2.7), (3.0, 6.0, 4.2)])
def test_no_peak_and_no_lesion_is_lost(spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(5)
    voxels = np.ones((9, 31, 26), np.float32)
    for _ in range(20):
        z, y, x = rng.integers(0, voxels.shape)
        one = voxels.copy()
        one[z, y, x] = 5.9
        rotation = rotate(make_volume(one, spacing), (one > 5).astype(np.uint16), 6.0)
        peaks = rotation.intensity.reshape(FRAMES, -1).max(axis=1)
        assert peaks.tolist() == [251] * FRAMES
        assert (rotation.lesions.reshape(FRAMES, -1).max(axis=1) == 1).all()


def test_numbers_above_255_are_one_and_the_smaller_lesion_shows() -> None:
    voxels = np.ones((2, 8, 8), np.float32)
    labels = np.zeros(voxels.shape, np.uint16)
    labels[0, 2:6, 2:6] = 1
    labels[0, 3, 3] = 2
    labels[1, 4, 4] = 300
    rotation = rotate(make_volume(voxels), labels, 6.0)
    assert np.unique(rotation.lesions[0, 0]).tolist() == [0, 255]
    assert np.unique(rotation.lesions[0, 1]).tolist() == [0, 1, 2]


def test_air_alone() -> None:
    voxels = np.zeros((3, 6, 6), np.float32)
    rotation = rotate(make_volume(voxels), voxels.astype(np.uint16), 6.0)
    assert rotation.intensity.shape[:2] == (18, 3)
    assert not rotation.intensity.any()
