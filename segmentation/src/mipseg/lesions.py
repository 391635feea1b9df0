"""Measurements of each lesion of a mask."""

from dataclasses import dataclass

from skimage.measure import label, regionprops

from mipseg.types import Binary, Probability, Uptake


@dataclass(frozen=True)
class Lesion:
    """One component of a mask; rows and columns count from the upper left pixel's 0.

    Attributes:
        id: 1 for the largest, and so on.
        bbox: first row, first column, and the row and column just behind the last.
        centroid: row and column of the centre.
        area_px: pixels.
        area_mm2: square millimetres of the projection; None where the spacing is not known.
        mean_intensity: mean uptake, 0 (air) to 1 (top of the SUV window).
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
    tumour: Binary, uptake: Uptake, probability: Probability, spacing: tuple[float, float] | None = None
) -> list[Lesion]:
    """Measure every component (8-connected), largest first.

    Args:
        tumour: (H, W) bool.
        uptake: (H, W) in [0, 1].
        probability: (H, W) in [0, 1].
        spacing: millimetres between rows and between columns, if known.
    """
    regions = regionprops(label(tumour, connectivity=2))
    regions.sort(key=lambda region: (-region.area, region.label))
    lesions = []
    for number, region in enumerate(regions, 1):
        rows, columns = region.coords.T
        area = len(rows)
        top, left, bottom, right = region.bbox
        lesions.append(
            Lesion(
                id=number,
                bbox=(int(top), int(left), int(bottom), int(right)),
                centroid=(float(region.centroid[0]), float(region.centroid[1])),
                area_px=area,
                area_mm2=None if spacing is None else area * spacing[0] * spacing[1],
                mean_intensity=float(uptake[rows, columns].mean()),
                probability=float(probability[rows, columns].mean()),
            )
        )
    return lesions
