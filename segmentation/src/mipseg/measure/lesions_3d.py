"""Measurements of each lesion of a volume."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.errors import ArgumentError
from mipseg.growing import NEIGHBOURS_18, BinaryVoxels
from mipseg.io.volume import Box, Volume, occupied
from mipseg.measure.peak import box_around, suv_peak

Labels = npt.NDArray[np.uint16]
MAX_LESIONS = 65535


@dataclass(frozen=True)
class VolumeLesion:
    """One component (18-connected) of a tumour in 3-D.

    Attributes:
        id: its label; 1 for the largest, and so on.
        area_mm2: of its coronal projection, in the volume's own pixels.
        mtv_ml: metabolic tumour volume: voxels times their volume.
        suv_max: the highest SUV of its voxels (g/ml, by body weight, as all SUV here).
        suv_mean: the mean of them.
        suv_peak: the highest mean in a sphere of 1 cm3; see `mipseg.measure.peak`.
        tlg_g: total lesion glycolysis, MTV x SUVmean (Larson et al. 1999, Clin Positron Imaging 2:159-171).
        centroid_mm: x, y, z in LPS, the mean place of its voxels, all weighing the same.
        reasons: why a measure is None, by its name.
    """

    id: int
    area_mm2: float
    mtv_ml: float
    suv_max: float | None
    suv_mean: float | None
    suv_peak: float | None
    tlg_g: float | None
    centroid_mm: tuple[float, float, float]
    reasons: dict[str, str] = field(default_factory=dict)


def label_lesions(tumour: BinaryVoxels) -> Labels:
    """Number the components (18-connected) of a tumour, the largest first; of equal ones, the one nearest to the feet.

    Args:
        tumour: (Z, Y, X) bool.

    Returns:
        (Z, Y, X) uint16, 0 outside.

    Raises:
        ArgumentError: more than 65535 components.
    """
    labels = np.zeros(tumour.shape, np.uint16)
    box = occupied(tumour)
    if box is None:
        return labels
    found, count = ndimage.label(tumour[box], NEIGHBOURS_18)
    if count > MAX_LESIONS:
        raise ArgumentError(f"the tumour has {count} components; at most {MAX_LESIONS} are measured")
    sizes = np.bincount(found.ravel())[1:]
    numbers = np.zeros(count + 1, np.uint16)
    numbers[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, count + 1)
    labels[box] = numbers[found]
    return labels


def measure_volume(volume: Volume, labels: Labels) -> list[VolumeLesion]:
    """Measure every lesion, the largest first.

    Args:
        volume: the volume.
        labels: (Z, Y, X), as `label_lesions` gives them.
    """
    around = occupied(labels)
    if around is None:
        return []
    boxes = [_moved(box, around) for box in ndimage.find_objects(labels[around])]
    return [_measure(volume, labels, number, box) for number, box in enumerate(boxes, 1)]


def _moved(box: Box, around: Box) -> Box:
    """A box that is counted from the corner of another, counted from the corner of the whole."""
    z, y, x = (slice(side.start + by.start, side.stop + by.start) for side, by in zip(box, around, strict=True))
    return z, y, x


def _measure(volume: Volume, labels: Labels, number: int, box: Box) -> VolumeLesion:
    inside = labels[box] == number
    values = volume.voxels[box][inside].astype(np.float64)
    dz, dy, dx = volume.spacing
    mtv = values.size * dz * dy * dx / 1000
    place = np.array([where.mean() + side.start for where, side in zip(np.nonzero(inside), box, strict=True)])
    x, y, z = (float(side) for side in (volume.affine @ [*place, 1])[:3])
    reasons: dict[str, str] = {}
    highest = mean = peak = None
    if volume.unit == "suv":
        highest, mean = float(values.max()), float(values.mean())
        room = box_around(box, labels.shape, volume.spacing)
        peak = suv_peak(volume.voxels[room], labels[room] == number, volume.spacing)
        if peak is None:
            reasons["suv_peak"] = "no sphere of 1 cm3 around it lies in the volume"
    else:
        reasons = dict.fromkeys(("suv_max", "suv_mean", "suv_peak", "tlg_g"), f"no SUV ({volume.suv_reason})")
    return VolumeLesion(
        id=number,
        area_mm2=float(inside.any(axis=1).sum() * dz * dx),
        mtv_ml=mtv,
        suv_max=highest,
        suv_mean=mean,
        suv_peak=peak,
        tlg_g=None if mean is None else mtv * mean,
        centroid_mm=(x, y, z),
        reasons=reasons,
    )
