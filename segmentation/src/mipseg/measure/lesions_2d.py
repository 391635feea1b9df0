"""Measurements of each lesion of a mask."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mipseg.metrics import NEIGHBOURS
from mipseg.types import BinaryMask, Intensity, Probability


@dataclass(frozen=True)
class Lesion:
    """One component of a mask; rows and columns count from the upper left pixel's 0.

    Attributes:
        id: 1 for the largest, and so on.
        bbox: first row, first column, and the row and column just behind the last.
        centroid: row and column of the centre.
        area_px: pixels.
        area_mm2: square millimetres of the projection; None where the spacing is not known.
        mean_intensity: mean intensity, 0 (air) to 1 (top of the SUV window).
        probability: mean tumour probability of its pixels.
    """

    id: int
    bbox: tuple[int, int, int, int]
    centroid: tuple[float, float]
    area_px: int
    area_mm2: float | None
    mean_intensity: float
    probability: float


def measure_lesions(
    tumour: BinaryMask, intensity: Intensity, probability: Probability, spacing: tuple[float, float] | None = None
) -> list[Lesion]:
    """Measure every component (8-connected), largest first.

    Args:
        tumour: (H, W) bool.
        intensity: (H, W) in [0, 1].
        probability: (H, W) in [0, 1].
        spacing: millimetres between rows and between columns, if known.
    """
    labels, count = ndimage.label(tumour, NEIGHBOURS)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(labels)
    lesions = []
    for number, label in enumerate(sorted(range(1, count + 1), key=lambda label: (-areas[label], label)), 1):
        box = boxes[label - 1]
        inside = labels[box] == label
        (top, bottom), (left, right) = ((side.start, side.stop) for side in box)
        rows, columns = np.nonzero(inside)
        area = int(areas[label])
        lesions.append(
            Lesion(
                id=number,
                bbox=(top, left, bottom, right),
                centroid=(top + float(rows.mean()), left + float(columns.mean())),
                area_px=area,
                area_mm2=None if spacing is None else area * spacing[0] * spacing[1],
                mean_intensity=float(intensity[box][inside].mean()),
                probability=float(probability[box][inside].mean()),
            )
        )
    return lesions
