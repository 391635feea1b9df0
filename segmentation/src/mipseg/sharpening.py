"""Volumes that are smoother than what the networks know, as coarse voxels and filters make them, sharpened for them.

Sharpened before the projection, for its maximum can't be undone: an image of it has creases, where one voxel takes
over from another, and sharpening the image would bring these up.
"""

import math

import numpy as np

from mipseg.constants import FWHM
from mipseg.io.volume import Volume
from mipseg.model.texture import beyond, blur_of_detail, coarse_detail, unblurred
from mipseg.projection import AIR, Mip, draw
from mipseg.types import Intensity, Voxels

# The coarse detail of a projection, see `coarse_detail`, after a Gaussian filter of so many mm FWHM: means of phantoms,
# down and across. The data set's images have -0.50 to -0.24.
FILTERS = {-0.36: 0.0, -0.49: 4.0, -0.65: 6.0, -0.81: 8.0}
SMOOTH = -0.55  # from here on it is smoother than what the networks know
LEFT = 3.5  # mm FWHM of the filter that they stand, and that is left
TIMES = 8  # see `unblurred`
REACH = 6  # standard deviations of the filter beyond which a voxel has no say
SLAB = 32  # planes that are sharpened at once, beside those within reach


def filter_of(volume: Volume, mip: Mip) -> tuple[float, float]:
    """How much smoother a volume is than what the networks know.

    Args:
        volume: SUV, or what the window is given for.
        mip: its projection.

    Returns:
        FWHM in mm, along the body and across it, of the Gaussian filter that explains it; 0: it is hardly smoother.
    """
    down, across = coarse_detail(draw(mip.hottest, volume.spacing, mip.window_top, order=3))
    return _filter(down), _filter(across)


def _filter(detail: float) -> float:
    return blur_of_detail(detail, FILTERS) if detail < SMOOTH else 0.0


def sharp_view(volume: Volume, mip: Mip, found: tuple[float, float]) -> Intensity:
    """Project a volume after its filter was undone, but for what is left, slab by slab, where there is more than air.

    Args:
        volume: SUV, or what the window is given for.
        mip: its projection.
        found: what `filter_of` found. Front to back, where a projection shows nothing, it is taken to be as across.

    Returns:
        (H, 400) in [0, 1], as `mip.intensity`, interpolated by cubic splines, which smooth coarse voxels less.
    """
    along, across = (beyond(mm, LEFT) / FWHM for mm in found)
    dz, dy, dx = volume.spacing
    sigmas = along / dz, across / dy, across / dx
    reach = [math.ceil(REACH * sigma) for sigma in sigmas]
    sharp = mip.hottest.copy()
    for start in range(0, len(sharp), SLAB):
        first = max(0, start - reach[0])
        slab = volume.voxels[first : start + SLAB + reach[0]]
        level = AIR * mip.window_top
        depths = _beyond_air(slab, (0, 2), level, reach[1])
        columns = _beyond_air(slab, (0, 1), level, reach[2])
        kept = slice(start, start + SLAB)
        part = slab[:, depths, columns]
        if part.size:
            sharp[kept, columns] = unblurred(part, sigmas, TIMES)[start - first :][:SLAB].max(axis=1)
    return draw(sharp, volume.spacing, mip.window_top, order=3)


def _beyond_air(voxels: Voxels, others: tuple[int, int], level: float, reach: int) -> slice:
    """From where to where there is more than air along the axis that is not one of the others, and within reach."""
    found = np.flatnonzero(voxels.max(axis=others) > level)
    return slice(max(0, found[0] - reach), found[-1] + reach + 1) if found.size else slice(0)
