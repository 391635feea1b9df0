"""Which measures a report shows, their names, units and decimals, and why some are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mipseg.report.html import fixed


@dataclass(frozen=True)
class Measure:
    """A column.

    Attributes:
        key: in `measurements.json`.
        name: as the field writes it.
        unit: empty for a count or a share.
        decimals: that are shown.
    """

    key: str
    name: str
    unit: str
    decimals: int

    @property
    def heading(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


OF_LESION = (
    Measure("mtv_ml", "MTV", "ml", 2),
    Measure("suv_max", "SUVmax", "g/ml", 2),
    Measure("suv_mean", "SUVmean", "g/ml", 2),
    Measure("suv_peak", "SUVpeak", "g/ml", 2),
    Measure("tlg_g", "TLG", "g", 2),
    Measure("area_px", "Area", "px", 0),
    Measure("area_mm2", "Area", "mm²", 0),
    Measure("mean_intensity", "Mean intensity", "", 2),
    Measure("probability", "Probability", "", 2),
)
OF_PATIENT = (
    Measure("total_mtv_ml", "Total MTV", "ml", 1),
    Measure("total_tlg_g", "Total TLG", "g", 1),
    Measure("suv_max", "SUVmax", "g/ml", 2),
    Measure("suv_peak", "SUVpeak", "g/ml", 2),
    Measure("dmax_mm", "Dmax", "mm", 0),
    Measure("sdmax_per_m", "SDmax", "1/m", 3),
)


@dataclass(frozen=True)
class Table:
    """Lesions, one row each.

    Attributes:
        headings: of the columns after the lesion's number; measures that no lesion has are left out.
        rows: a lesion's number and its values, as text.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def lesion_table(lesions: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the lesions of a record.

    Args:
        lesions: as `measurements.json` holds them.
    """
    measures = [one for one in OF_LESION if any(lesion.get(one.key) is not None for lesion in lesions)]
    in_mm = any(lesion.get("centroid_mm") is not None for lesion in lesions)
    if in_mm:  # a lesion that has a volume is not described by the area of its projection
        measures = [measure for measure in measures if measure.key != "area_mm2"]
    place = "centroid_mm" if in_mm else "centroid"
    rows = []
    for lesion in lesions:
        values = [fixed(lesion.get(measure.key), measure.decimals) for measure in measures]
        rows.append((str(lesion["id"]), (*values, ", ".join(f"{part:.0f}" for part in lesion[place]))))
    headings = *(measure.heading for measure in measures), "Centre (mm, LPS)" if in_mm else "Centre (row, column)"
    return Table(headings, tuple(rows))


def patient_values(patient: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names with units, and values, of what is known of all lesions together."""
    return [
        (measure.heading, fixed(patient[measure.key], measure.decimals))
        for measure in OF_PATIENT
        if patient.get(measure.key) is not None
    ]


def missing_measures(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why measures are missing: for each reason the names of the measures that it holds for."""
    names = {measure.key: measure.name for measure in (*OF_LESION, *OF_PATIENT)}
    found: dict[str, dict[str, None]] = {}
    for measures in (record["patient"], *record["lesions"]):
        for key, reason in measures["reasons"].items():
            if key in names and measures.get(key) is None:
                found.setdefault(reason, {})[names[key]] = None
    return [(", ".join(measured), reason) for reason, measured in found.items()]
