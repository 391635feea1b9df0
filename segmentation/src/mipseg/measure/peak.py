"""SUVpeak: the highest mean in a sphere of 1 cm3."""

from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from mipseg.measure.surroundings import sum_around
from mipseg.types import Voxels

VOLUME_MM3 = 1000.0
RADIUS_MM = float((3 * VOLUME_MM3 / (4 * np.pi)) ** (1 / 3))  # 6.2 mm
# Points along a voxel's side that its share of the sphere is counted from: 8, at most 1 mm and at least 0.25 mm apart.
_PARTS, _PARTS_PER_MM = 8, 4
_FEW = 100  # centres, up to which it is faster to take each for itself
_SLAB = 64  # planes that are dealt with at once, which bounds the memory that a large lesion takes


def suv_peak(voxels: Voxels, lesion: npt.NDArray[np.bool_], spacing: tuple[float, float, float]) -> float | None:
    """The highest mean value in a sphere of 1 cm3 whose centre lies in a lesion.

    The sphere is placed where its mean is highest, not around the hottest voxel (Wahl et al. 2009, J Nucl Med
    50:122S-150S; Lodge et al. 2012, J Nucl Med 53:1041-1047), and may reach beyond the lesion's edge. Centres are tried
    at the middle of each of the lesion's voxels and half a voxel from it along each axis, both ways. A voxel counts by
    the share of it that lies in the sphere.

    Args:
        voxels: (Z, Y, X).
        lesion: (Z, Y, X) bool, not empty.
        spacing: of the voxels in mm.

    Returns:
        The mean; None where no such sphere lies in the volume as a whole.
    """
    best = -np.inf
    for z, y, x in product((0.0, 0.5), repeat=3):
        weights = sphere_weights(spacing, (z, y, x))
        centres = _and_those_before(lesion, (z, y, x)) & _holds(lesion.shape, weights.shape)
        if count := np.count_nonzero(centres):
            highest = _best_of_few if count <= _FEW else _best_of_many
            best = max(best, highest(voxels, centres, weights))
    return best if np.isfinite(best) else None


def _and_those_before(lesion: npt.NDArray[np.bool_], offsets: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """The voxels from which a centre that lies so far behind them is at a lesion's voxel or half a voxel before it."""
    centres = lesion.copy()
    for axis, offset in enumerate(offsets):
        if offset:
            along = centres.swapaxes(0, axis)
            along[:-1] |= along[1:]
    return centres


def _best_of_few(voxels: Voxels, centres: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]) -> float:
    """The highest weighted sum around some voxels; each for itself, since there may be thousands of small lesions."""
    places = np.argwhere(centres) - np.array(weights.shape) // 2
    around = sliding_window_view(voxels, weights.shape)[tuple(places.T)].astype(np.float64)
    return float(np.tensordot(around, weights, 3).max())


def _best_of_many(voxels: Voxels, centres: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]) -> float:
    """The same, of all sums at once."""
    best, reach = -np.inf, len(weights) // 2
    for start in range(0, len(centres), _SLAB):
        inside, first = centres[start : start + _SLAB], max(start - reach, 0)
        if inside.any():
            around = voxels[first : start + _SLAB + reach].astype(np.float64)
            means = sum_around(around, weights)[start - first :][:_SLAB]
            best = max(best, float(means[inside].max()))
    return best


@cache
def sphere_weights(
    spacing: tuple[float, float, float], centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.float64]:
    """The share of a 1 cm3 sphere that lies in each voxel.

    Args:
        spacing: of the voxels in mm.
        centre: of the sphere, in voxels from the middle of the array's central voxel; each in [0, 0.5].

    Returns:
        An array with odd sides that just holds the sphere, read-only; the sum is 1.
    """
    reach = [int(np.ceil(RADIUS_MM / side + at - 0.5)) for side, at in zip(spacing, centre, strict=True)]
    parts = [int(np.ceil(max(min(_PARTS, _PARTS_PER_MM * side), side))) for side in spacing]
    squares = [
        (((np.arange(-r, r + 1)[:, None] + (np.arange(n) + 0.5) / n - 0.5 - at) * side) ** 2).ravel()
        for r, n, at, side in zip(reach, parts, centre, spacing, strict=True)
    ]
    z, y, x = np.ix_(*squares)
    inside = z + y + x <= RADIUS_MM**2
    sides = [(2 * r + 1, n) for r, n in zip(reach, parts, strict=True)]
    shares = inside.reshape(*sides[0], *sides[1], *sides[2]).sum(axis=(1, 3, 5))
    weights = np.asarray(shares / shares.sum(), np.float64)
    weights.flags.writeable = False
    return weights


def box_around(
    box: tuple[slice, slice, slice], shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> tuple[slice, slice, slice]:
    """A lesion's box with room for the sphere, as far as the volume goes; `suv_peak` needs no more than this part.

    Args:
        box: just around the lesion.
        shape: of the volume.
        spacing: of its voxels in mm.
    """
    z, y, x = (
        slice(max(side.start - margin, 0), min(side.stop + margin, size))
        for side, size, margin in zip(box, shape, [int(RADIUS_MM / mm) + 2 for mm in spacing], strict=True)
    )
    return z, y, x


def _holds(shape: tuple[int, ...], kernel: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where a kernel's centre may lie so that all of it is in an array."""
    room = np.zeros(shape, bool)
    room[tuple(slice(side // 2, size - side // 2) for size, side in zip(shape, kernel, strict=True))] = True
    return room
