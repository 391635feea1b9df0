"""A PET volume in one fixed patient frame, whatever its file's axes were, and the way back to them."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mipseg.constants import MAX_SPACING_MM
from mipseg.errors import VolumeError
from mipseg.types import Voxels

if TYPE_CHECKING:
    from pydicom import Dataset

Unit: TypeAlias = Literal["suv", "bqml", "unknown"]
Kind: TypeAlias = Literal["dicom", "nifti", "mha", "nrrd"]
Affine: TypeAlias = npt.NDArray[np.float64]
Box: TypeAlias = tuple[slice, slice, slice]
"""A part of an array with three axes."""

MAX_VOXELS = 2**28  # 1 GiB of float32; the longest PET scanners make 200 million
MAX_VALUE = 1e30
SAMPLE = 1_000_000  # voxels, of which a median is near enough
MIN_SLICES = 4  # fewer are a projection that was saved as a volume, or a piece
MIN_SPACING_MM = 0.5  # below, the unit is not mm, or it is a mouse
MAX_TILT_DEG = 30.0  # of the grid against the patient; beyond it "coronal" means little
TILT_SAID_DEG = 1.0
_MAX_SKEW = 0.02  # cosine between two axes of a grid, which must stand at right angles


@dataclass(frozen=True, eq=False)
class Source:
    """Where a volume comes from, and how to go back to its own grid.

    Attributes:
        kind: of the file.
        shape: of the file's own array: (slice, row, column) of DICOM, whose slices are sorted along their normal;
            (i, j, k) of NIfTI; (k, j, i) of MHA and NRRD.
        affine: (4, 4); maps an index of that array to LPS mm.
        axes: `voxels` is that array transposed by these, ...
        flips: ... and then reversed along these axes of `voxels`.
        positions_mm: DICOM: of each slice along the normal, ascending; where they are uneven, slices were resampled.
        headers: DICOM: the header of each slice without its pixels, in the same order.
    """

    kind: Kind
    shape: tuple[int, int, int]
    affine: Affine
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    positions_mm: tuple[float, ...] = ()
    headers: tuple["Dataset", ...] = field(default=(), repr=False)

    def restore(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring an array of the volume's grid to the file's own grid.

        Args:
            array: (Z, Y, X), such as a mask.

        Returns:
            The same on the file's grid, (`shape`). Of resampled slices each takes the nearest.
        """
        own = self.to_own_axes(array)
        if self.positions_mm:
            step = float(np.linalg.norm(self.affine[:3, 0]))
            nearest = np.rint((np.array(self.positions_mm) - self.positions_mm[0]) / step).astype(int)
            nearest = np.clip(nearest, 0, len(own) - 1)
            if not np.array_equal(nearest, np.arange(len(own))):  # else a copy for nothing
                own = own[nearest]
        return np.ascontiguousarray(own)

    def to_own_axes(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`restore`, but slices that were resampled stay so: on the even grid that `affine` describes."""
        flipped = np.flip(array, tuple(axis for axis in range(3) if self.flips[axis]))
        return np.transpose(flipped, np.argsort(self.axes))


@dataclass(frozen=True, eq=False)
class Volume:
    """A PET volume.

    Attributes:
        voxels: (Z, Y, X) float32, C-contiguous. Axis 0 goes from feet to head, axis 1 from front to back (DICOM's +y),
            axis 2 from the patient's right to left (DICOM's +x). A grid tilted against the patient stays tilted.
        affine: (4, 4) float64; maps (k, j, i, 1), an index of `voxels` in this order, to (x, y, z, 1) in mm of DICOM's
            patient coordinates (LPS: x to the left, y to the back, z to the head); whole numbers are voxel centres.
        spacing: (dz, dy, dx) in mm between voxel centres, each above 0.
        unit: `suv` (g/ml, by body weight), `bqml` or `unknown`.
        source: the file's own grid.
        suv_reason: why the unit is not SUV; empty where it is.
        warnings: `code: sentence` each.
        weight_kg: of the patient, as DICOM headers or the caller say it; None where it is not plausible or not known.
        height_m: the same of DICOM headers.
    """

    voxels: Voxels
    affine: Affine
    spacing: tuple[float, float, float]
    unit: Unit
    source: Source
    suv_reason: str = ""
    warnings: tuple[str, ...] = ()
    weight_kg: float | None = None
    height_m: float | None = None


@dataclass(frozen=True, eq=False)
class Grid:
    """An array as a file holds it.

    Attributes:
        array: 3-D float32.
        affine: (4, 4); maps an index of the array to LPS mm.
    """

    array: npt.NDArray[np.float32]
    affine: Affine


def check_size(shape: tuple[int, ...], name: str) -> None:
    """Refuse what a header claims before memory is taken for it.

    Raises:
        VolumeError: not 3-D, fewer than `MIN_SLICES` in a direction, or more than `MAX_VOXELS` voxels.
    """
    size = " x ".join(str(side) for side in shape)
    if len(shape) != 3:
        raise VolumeError(f"{name} is {len(shape)}-D ({size}); one 3-D volume is needed")
    if min(shape) < MIN_SLICES:
        raise VolumeError(f"{name} has {size} voxels; a volume with at least {MIN_SLICES} in each direction is needed")
    voxels = int(np.prod([int(side) for side in shape], dtype=object))
    if voxels > MAX_VOXELS:
        raise VolumeError(f"{name} claims {size} voxels; at most {MAX_VOXELS} are read")


def check_affine(affine: Affine, name: str) -> None:
    """Refuse a grid that can't be a patient's.

    Raises:
        VolumeError: not finite, a spacing below 0.5 or above 100 mm, axes not at right angles, a tilt beyond 30°.
    """
    if not np.isfinite(affine).all():
        raise VolumeError(f"{name} has an orientation that is not finite")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not ((spacing >= MIN_SPACING_MM) & (spacing <= MAX_SPACING_MM)).all():
        sides = " x ".join(f"{side:g}" for side in spacing)
        raise VolumeError(
            f"{name} has a spacing of {sides} mm; each must be in [{MIN_SPACING_MM:g}, {MAX_SPACING_MM:g}]"
        )
    directions = affine[:3, :3] / spacing
    if np.abs(directions.T @ directions - np.eye(3)).max() > _MAX_SKEW:
        raise VolumeError(f"{name} has axes that are not at right angles (a tilted gantry or a shear)")
    if (tilt := _tilt(directions)) > MAX_TILT_DEG:
        raise VolumeError(
            f"{name} lies {tilt:.0f} degrees askew of the patient's axes; up to {MAX_TILT_DEG:g} are read"
        )


def check_finite(array: npt.NDArray[np.float32], name: str) -> None:
    """Refuse voxels that are no numbers, or so large that to compute with them overflows.

    Raises:
        VolumeError: says how many are NaN, infinite or beyond 1e30.
    """
    with np.errstate(invalid="ignore"):
        if -MAX_VALUE <= float(array.min()) <= float(array.max()) <= MAX_VALUE:
            return
        count = array.size - int((np.abs(array) <= MAX_VALUE).sum())
    raise VolumeError(f"{name} has {count} voxels that are NaN, infinite or beyond {MAX_VALUE:g}")


def to_patient_frame(grid: Grid, kind: Kind) -> tuple[Voxels, Affine, Source, list[str]]:
    """Turn a file's array into the patient's frame: axes are swapped and reversed, nothing is interpolated.

    Args:
        grid: whose affine `check_affine` accepts.
        kind: of the file.

    Returns:
        voxels, affine and source as in `Volume`, and warnings.
    """
    directions = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    # Which array axis runs along which of x, y, z: at most 30 degrees askew, so the largest component decides.
    along = np.abs(directions).argmax(axis=0)
    axes = tuple(int(np.flatnonzero(along == axis)[0]) for axis in (2, 1, 0))
    flips = tuple(bool(directions[axis, own] < 0) for axis, own in zip((2, 1, 0), axes, strict=True))
    turned = np.transpose(grid.array, axes)
    voxels = np.ascontiguousarray(np.flip(turned, tuple(axis for axis in range(3) if flips[axis])), np.float32)
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, list(axes)]
    affine[:3, 3] = grid.affine[:3, 3]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
    shape = (grid.array.shape[0], grid.array.shape[1], grid.array.shape[2])
    source = Source(kind, shape, grid.affine, (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))
    tilt = _tilt(directions)
    warnings = [f"tilted: the grid lies {tilt:.1f} degrees askew of the patient's axes"] if tilt > TILT_SAID_DEG else []
    return voxels, affine, source, warnings


def spacing_of(affine: Affine) -> tuple[float, float, float]:
    """Millimetres between neighbours along each axis of an array."""
    first, second, third = (float(side) for side in np.linalg.norm(affine[:3, :3], axis=0))
    return first, second, third


def farthest_corner(one: Affine, other: Affine, shape: tuple[int, ...]) -> float:
    """How far two placements of a grid lie apart at most, which is at one of its corners.

    Args:
        one: (4, 4) from an index to mm.
        other: the same.
        shape: of the grid.
    """
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(side - 1 for side in shape), 1]
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def occupied(array: npt.NDArray[Any]) -> Box | None:
    """The box just around what is not 0; None where all is.

    Args:
        array: with three axes. `scipy.ndimage.find_objects` would look at each element, for a tenth of a second.
    """
    box: list[slice] = []
    for others in ((1, 2), (0, 2), (0, 1)):
        filled = np.flatnonzero(array[tuple(box)].any(axis=others))
        if not filled.size:
            return None
        box += [slice(int(filled[0]), int(filled[-1]) + 1)]
    return box[0], box[1], box[2]


def body_median(voxels: Voxels) -> float:
    """The median of the voxels in the body: those above 5 % of what the hottest half per cent exceeds; of a sample.

    Returns:
        0.0 for a blank volume.
    """
    step = max(1, voxels.size // SAMPLE)
    while math.gcd(step, voxels.shape[2]) > 1:  # else only some columns would be seen
        step += 1
    sample = voxels.ravel()[::step]
    inside = sample[sample > 0.05 * max(0.0, float(np.percentile(sample, 99.5)))]
    return float(np.median(inside)) if inside.size else 0.0


def _tilt(directions: npt.NDArray[np.float64]) -> float:
    """Degrees between the axis that is worst aligned and the patient's axis nearest to it."""
    return float(np.degrees(np.arccos(np.clip(np.abs(directions).max(axis=0).min(), 0, 1))))
