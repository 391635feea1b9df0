"""Small volumes for the tests of projection, growing and measures: exact truth, made without files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.io.volume import Source, Unit, Volume
from mipseg.phantom import SPACING_MM, VolumePhantom
from mipseg.projection import Mip
from mipseg.types import BinaryMask

ORIGIN_MM = (-100.0, -80.0, -300.0)  # x, y, z of the first voxel


def make_volume(
    voxels: npt.NDArray[Any], spacing: tuple[float, float, float] = (4.0, 4.0, 4.0), unit: Unit = "suv"
) -> Volume:
    """A volume along the patient's axes whose first voxel lies at `ORIGIN_MM`."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:3, 3], affine[3, 3] = ORIGIN_MM, 1
    shape = (voxels.shape[0], voxels.shape[1], voxels.shape[2])
    source = Source("nifti", shape, affine, (0, 1, 2), (False, False, False))
    reason = "" if unit == "suv" else "no dose"
    return Volume(np.ascontiguousarray(voxels, np.float32), affine, spacing, unit, source, reason)


def volume_of_phantom(phantom: VolumePhantom) -> Volume:
    return make_volume(phantom.suv, SPACING_MM)


def ball(
    shape: tuple[int, int, int], centre: Sequence[float], radius_mm: float, spacing: Sequence[float] = (4.0, 4.0, 4.0)
) -> npt.NDArray[np.bool_]:
    """The voxels whose centres lie in a ball; its centre is an index."""
    grid = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return np.asarray(((grid * np.reshape(spacing, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius_mm**2)


def image_of_rays(rays: npt.NDArray[np.bool_], mip: Mip) -> BinaryMask:
    """The mask of the image whose pixels lie on these rays (Z, X)."""
    rows, columns = np.rint(mip.rows).astype(int), np.rint(mip.columns).astype(int)
    inside = (columns >= 0) & (columns < rays.shape[1])
    return np.asarray(rays[np.ix_(rows, np.clip(columns, 0, rays.shape[1] - 1))] & inside)


def shadow(tumour: npt.NDArray[np.bool_]) -> BinaryMask:
    """The rays (Z, X) that a tumour (Z, Y, X) lies on."""
    return np.asarray(tumour.any(axis=1))
