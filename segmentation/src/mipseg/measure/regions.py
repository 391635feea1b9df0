"""Reference regions that PET alone can tell: the liver. Measured in spheres, as PERCIST does."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.io.volume import Volume, body_median
from mipseg.measure.surroundings import sum_around
from mipseg.types import Voxels

DIAMETER_MM = 30.0  # of PERCIST's sphere in the right lobe: Wahl et al. 2009, J Nucl Med 50:122S-150S
AIR_SUV = 0.2  # below: air
COARSE_MM = 6.0  # voxels in which the liver is looked for
LIVER_SUV = (1.0, 4.5)  # mean SUV by weight of livers, with a margin
MAX_VARIATION = 0.2  # SD / mean inside of a sphere, in coarse voxels; organs beside each other vary more
ABOVE_BODY = 1.4  # times the body's median: muscle of a hot patient is as even as a liver
LEVEL_STEP = 0.25
MIN_CORE_ML = 200.0  # of the centres of such spheres; the core of a liver of 1.5 l has 300 ml
BLOOD_POOL_REASON = "the aorta can't be told from its surroundings without a CT"

Coarse = npt.NDArray[np.float32]
Means = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """A sphere in a healthy organ.

    Attributes:
        suv_mean: of its voxels.
        suv_sd: their standard deviation.
        centre_mm: x, y, z in LPS.
        diameter_mm: of the sphere.
    """

    suv_mean: float
    suv_sd: float
    centre_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True)
class References:
    """Healthy organs that lesions are compared with.

    Attributes:
        liver: in the right lobe.
        blood_pool: always None so far.
        reasons: why an organ is None, by its name.
    """

    liver: Reference | None
    blood_pool: Reference | None
    reasons: dict[str, str] = field(default_factory=dict)


def find_references(volume: Volume) -> References:
    """Measure the reference organs that can be told; see `find_liver`."""
    liver = find_liver(volume)
    reasons = {"blood_pool": BLOOD_POOL_REASON}
    if isinstance(liver, str):
        return References(None, None, {"liver": liver} | reasons)
    return References(liver, None, reasons)


def percist_level(liver: Reference) -> float:
    """The least SUVpeak of a measurable lesion: 1.5 x liver mean + 2 SD (PERCIST 1.0, Wahl et al. 2009).

    PERCIST corrects SUV by lean body mass, which needs height and sex. That is one factor for a patient: whether a
    lesion is above the level is the same by either.
    """
    return 1.5 * liver.suv_mean + 2 * liver.suv_sd


def find_liver(volume: Volume) -> Reference | str:
    """Measure the liver in a sphere of 3 cm.

    The liver is the hottest even region on the patient's right that is large, and no hotter than livers are. The sphere
    lies where that region is thickest.

    Args:
        volume: in SUV.

    Returns:
        The reference, or why there is none.
    """
    if volume.unit != "suv":
        return f"no SUV ({volume.suv_reason})"
    factors = tuple(max(1, round(COARSE_MM / side)) for side in volume.spacing)
    coarse = _block_means(volume.voxels, factors)
    sides = tuple(side * factor for side, factor in zip(volume.spacing, factors, strict=True))
    body = np.nonzero(coarse > AIR_SUV)
    if body[0].size == 0:
        return "no body is visible"
    first = np.array([places.min() for places in body])
    coarse = coarse[tuple(slice(places.min(), places.max() + 1) for places in body)]
    mean, variation = _local(coarse, _ball(sides, DIAMETER_MM / 2))
    right = np.arange(coarse.shape[2]) < body[2].mean() - first[2]
    lowest = max(LIVER_SUV[0], ABOVE_BODY * body_median(volume.voxels))
    even = (mean < LIVER_SUV[1]) & (variation < MAX_VARIATION) & right
    wanted = MIN_CORE_ML * 1000 / np.prod(sides)
    for level in np.arange(LIVER_SUV[1], lowest - LEVEL_STEP, -LEVEL_STEP):
        labels, _ = ndimage.label(even & (mean > max(level, lowest)))
        sizes = np.bincount(labels.ravel(), minlength=2)[1:]
        if sizes.max() >= wanted:
            break
    else:
        return "no even region on the patient's right is as hot and as large as a liver"
    chosen = 1 + int(sizes.argmax())
    box = ndimage.find_objects(labels)[chosen - 1]
    thick = ndimage.distance_transform_edt(np.pad(labels[box] == chosen, 1), sides)[1:-1, 1:-1, 1:-1]
    place = np.array(np.unravel_index(thick.argmax(), thick.shape)) + first + [side.start for side in box]
    centre = place * factors + (np.array(factors) - 1) / 2
    return _measure(volume, centre)


def _block_means(voxels: Voxels, factors: tuple[int, ...]) -> Coarse:
    """Means of blocks; what is left at the far ends is not used."""
    means = voxels
    for axis, factor in enumerate(factors):  # one axis after the other: three at once take three times as long
        count = max(1, means.shape[axis] // factor)
        part = means[(slice(None),) * axis + (slice(count * factor),)]
        means = part.reshape(*part.shape[:axis], count, -1, *part.shape[axis + 1 :]).mean(axis=axis + 1)
    return means


def _ball(sides: tuple[float, ...], radius_mm: float) -> Means:
    """Equal weights of the voxels whose centres lie in a ball; they sum to 1."""
    reach = [int(radius_mm / side) for side in sides]
    grid = np.indices([2 * r + 1 for r in reach]) - np.reshape(reach, (3, 1, 1, 1))
    inside = ((grid * np.reshape(sides, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius_mm**2
    return np.asarray(inside / inside.sum(), np.float64)


def _local(coarse: Coarse, weights: Means) -> tuple[Means, Means]:
    """Mean, and SD over mean, around each voxel."""
    exact = coarse.astype(np.float64)
    mean, square = sum_around(exact, weights), sum_around(exact**2, weights)
    return mean, np.sqrt(np.maximum(square - mean**2, 0)) / np.maximum(mean, 1e-6)


def _measure(volume: Volume, centre: npt.NDArray[np.float64]) -> Reference:
    """Mean and SD of the voxels whose centres lie in the sphere."""
    reach = DIAMETER_MM / 2 / np.array(volume.spacing)
    first = np.maximum(np.ceil(centre - reach), 0).astype(int)
    part = volume.voxels[tuple(slice(a, int(b) + 1) for a, b in zip(first, centre + reach, strict=True))]
    offset = (np.indices(part.shape) + (first - centre).reshape(3, 1, 1, 1)) / reach.reshape(3, 1, 1, 1)
    values = part[(offset**2).sum(axis=0) <= 1].astype(np.float64)
    x, y, z = (float(side) for side in (volume.affine @ [*centre, 1])[:3])
    return Reference(float(values.mean()), float(values.std()), (x, y, z), DIAMETER_MM)
