"""Measurements of all lesions of a patient together."""

from dataclasses import dataclass, field

import numpy as np

from mipseg.measure.lesions_3d import VolumeLesion


@dataclass(frozen=True)
class PatientMeasures:
    """All lesions together. Without lesions, total MTV and TLG are 0, which was measured; the others are None.

    Attributes:
        lesions: their number.
        total_mtv_ml: the sum of the lesions' MTV.
        total_tlg_g: the sum of the lesions' TLG.
        suv_max: the highest of the lesions'.
        suv_peak: the highest of the lesions'.
        dmax_mm: the largest distance between the centroids of two lesions (Cottereau et al. 2020, J Nucl Med 61:40-45).
        sdmax_per_m: Dmax / body surface area (Cottereau et al. 2021, Ann Oncol 32:404-411).
        reasons: why a measure is None, by its name.
    """

    lesions: int
    total_mtv_ml: float
    total_tlg_g: float | None
    suv_max: float | None
    suv_peak: float | None
    dmax_mm: float | None
    sdmax_per_m: float | None
    reasons: dict[str, str] = field(default_factory=dict)


def measure_patient(
    lesions: list[VolumeLesion], weight_kg: float | None = None, height_m: float | None = None
) -> PatientMeasures:
    """Measure all lesions together.

    Args:
        lesions: as `measure_volume` gives them.
        weight_kg: body weight, for SDmax.
        height_m: body height, for SDmax.
    """
    reasons: dict[str, str] = {}
    dmax = sdmax = None
    if len(lesions) < 2:
        reasons["dmax_mm"] = reasons["sdmax_per_m"] = "two lesions are needed"
    else:
        places = np.array([lesion.centroid_mm for lesion in lesions])
        dmax = max(float(np.linalg.norm(places - place, axis=1).max()) for place in places)
        if weight_kg is None or height_m is None or not (weight_kg > 0 and height_m > 0):
            missing = "weight" if height_m is not None and height_m > 0 else "height"
            reasons["sdmax_per_m"] = f"the body's {missing} is not known"
        else:
            sdmax = dmax / 1000 / body_surface_m2(weight_kg, height_m)
    glycolysis = [lesion.tlg_g for lesion in lesions if lesion.tlg_g is not None]
    complete = len(glycolysis) == len(lesions)
    if not complete:
        reasons["total_tlg_g"] = lesions[0].reasons["tlg_g"]
    highest = {name: _highest(lesions, name, reasons) for name in ("suv_max", "suv_peak")}
    return PatientMeasures(
        lesions=len(lesions),
        total_mtv_ml=sum((lesion.mtv_ml for lesion in lesions), 0.0),
        total_tlg_g=sum(glycolysis, 0.0) if complete else None,
        suv_max=highest["suv_max"],
        suv_peak=highest["suv_peak"],
        dmax_mm=dmax,
        sdmax_per_m=sdmax,
        reasons=reasons,
    )


def body_surface_m2(weight_kg: float, height_m: float) -> float:
    """Body surface area, sqrt(cm x kg / 3600) (Mosteller 1987, N Engl J Med 317:1098)."""
    return float(np.sqrt(height_m * 100 * weight_kg / 3600))


def _highest(lesions: list[VolumeLesion], name: str, reasons: dict[str, str]) -> float | None:
    """The highest value of a measure; where there is none, the reason is added."""
    values = [value for lesion in lesions if (value := getattr(lesion, name)) is not None]
    if not values:
        reasons[name] = lesions[0].reasons[name] if lesions else "no lesion"
        return None
    return float(max(values))
