"""`measurements.csv`: one row for each lesion and one for each patient, of a whole run."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mipseg.engines.cases import RECORD
from mipseg.errors import InputError
from mipseg.io.write import write_csv

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
    write_csv(out / TABLE, COLUMNS, (row for record in records for row in _rows(record)))


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    patient, case = record["patient"], {"case": record["case"], "has_tumour": record["has_tumour"]}
    total = {**case, "row": "patient", **{name: patient[name] for name in _OF_PATIENT}, "reasons": _joined(patient)}
    rows = [total]
    for lesion in record["lesions"]:
        place = lesion["centroid_mm"] or (None, None, None)
        rows.append({
            **case,
            "row": "lesion",
            "lesion": lesion["id"],
            **{name: lesion.get(name) for name in _OF_LESION},
            **dict(zip(_PLACE, place, strict=True)),
            "reasons": _joined(lesion),
        })  # fmt: skip
    return rows


def _joined(measures: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in measures["reasons"].items())
