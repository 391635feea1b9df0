"""From a mask of the projection to a tumour in 3-D: each rule, what bounds it, and a lesion behind a bladder."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from mipseg.errors import ArgumentError
from mipseg.growing import Rule, grow
from mipseg.metrics import dice_score
from mipseg.phantom import make_volume_phantom
from mipseg.projection import project
from tests.volumes import ball, image_of_rays, make_volume, volume_of_phantom

SHAPE = (60, 40, 60)
BLADDER = ball(SHAPE, (30, 11, 30), 28.0)


def scan(*parts: tuple[npt.NDArray[np.bool_], float]) -> npt.NDArray[np.float32]:
    """A body of SUV 0.7 with these parts in it, blurred by about a voxel."""
    voxels = np.full(SHAPE, 0.7, np.float32)
    for inside, suv in parts:
        voxels[inside] = suv
    return np.asarray(ndimage.gaussian_filter(voxels, 0.7))


def estimate(
    voxels: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], rule: Rule = "41%max"
) -> npt.NDArray[np.bool_]:
    """What grows from the projection of the truth."""
    volume = make_volume(voxels)
    mip = project(volume)
    return grow(volume, mip, image_of_rays(truth.any(axis=1), mip), rule, 3.0)


@pytest.mark.parametrize("rule", ["41%max", "suv4", "liver"])
def test_a_lesion_alone_is_found_again(rule: Rule) -> None:
    lesion = ball(SHAPE, (30, 25, 36), 20.0)
    assert dice_score(lesion, estimate(scan((lesion, 8.0)), lesion, rule)) > 0.93


@pytest.mark.parametrize("shift", [0, 4, 7])
def test_a_lesion_behind_a_bladder_does_not_become_the_bladder(shift: int) -> None:
    lesion = ball(SHAPE, (30, 28, 30 + shift), 16.0)
    grown = estimate(scan((BLADDER, 20.0), (lesion, 8.0)), lesion)
    assert not (grown & BLADDER).any()
    assert dice_score(lesion, grown) > 0.9
