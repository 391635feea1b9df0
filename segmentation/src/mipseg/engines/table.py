"""`measurements.csv`: one row for each lesion and one for each patient, of a whole run."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mipseg.engines.cases import RECORD
from mipseg.errors import InputError
from mipseg.io.write import write_csv

# Decimals: what a record has beyond them is not known.
_DECIMALS = {
    "has_tumour": 4,
    **dict.fromkeys(("suv_max", "suv_mean", "suv_peak"), 3),
    **dict.fromkeys(("mtv_ml", "total_mtv_ml", "tlg_g", "total_tlg_g", "sdmax_per_m"), 3),
    **dict.fromkeys(("area_mm2", "dmax_mm", "centroid_x_mm", "centroid_y_mm", "centroid_z_mm"), 1),
}
_OF_LESION = ("area_px", "area_mm2", "mtv_ml", "suv_max", "suv_mean", "suv_peak", "tlg_g")
_OF_PATIENT = ("lesions", "total_mtv_ml", "total_tlg_g", "suv_max", "suv_peak", "dmax_mm", "sdmax_per_m")
_PLACE = ("centroid_x_mm", "centroid_y_mm", "centroid_z_mm")
COLUMNS = (
    *("case", "row", "lesion", "has_tumour"),
    *dict.fromkeys((*_OF_LESION, *_PLACE, *_OF_PATIENT)),
    "reasons",
)


TABLE = "measurements.csv"


def check_table(out: Path) -> None:
    """Refuse to write where somebody else's table of the same name lies.

    Raises:
        InputError: its columns are not those of a run.
        OSError: it can't be read.
    """
    if not (out / TABLE).exists():
        return
    with (out / TABLE).open("rb") as table:
        if not table.readline().startswith(",".join(COLUMNS[:3]).encode()):
            raise InputError(f"{out / TABLE} is not of an earlier run; choose another output folder")


def write_table(out: Path, names: Iterable[str]) -> None:
    """Write the measurements of these cases, as their records hold them, into `measurements.csv`.

    Raises:
        OSError: there is no room, no right to write, ...
    """
    # One at a time: an archive's do not fit into memory.
    records = (json.loads((out / name / RECORD).read_text(encoding="utf-8")) for name in sorted(names))
    write_csv(out / TABLE, COLUMNS, (_rounded(row) for record in records for row in _rows(record)))


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a case, the patient's first; a reason that an earlier one has given is not repeated."""
    case, patient = {"case": record["case"], "has_tumour": record["has_tumour"]}, record["patient"]
    told: dict[str, str] = {}
    rows = [{**case, "row": "patient", **_part(patient, _OF_PATIENT), "reasons": _untold(patient, told)}]
    for lesion in record["lesions"]:
        place = dict(zip(_PLACE, lesion["centroid_mm"] or (None, None, None), strict=True))
        of_lesion = {"lesion": lesion["id"], **_part(lesion, _OF_LESION), **place}
        rows.append({**case, "row": "lesion", **of_lesion, "reasons": _untold(lesion, told)})
    return rows


def _part(measures: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: measures.get(name) for name in names}


def _untold(measures: dict[str, Any], told: dict[str, str]) -> str:
    """The reasons that are not `told`, which they are then."""
    new = {name: reason for name, reason in measures["reasons"].items() if told.get(name) != reason}
    told |= new
    return "; ".join(f"{name}: {reason}" for name, reason in new.items())


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {  # 0.0 is added, since -0.0 would look odd
        name: round(cell, _DECIMALS[name]) + 0.0 if name in _DECIMALS and cell is not None else cell
        for name, cell in row.items()
    }
