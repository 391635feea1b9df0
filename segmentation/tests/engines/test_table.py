"""The table of a run, to the cell."""

import csv
import json
from pathlib import Path

from mipseg.engines.table import write_table


def test_numbers_are_rounded_and_a_reason_is_said_once(tmp_path: Path) -> None:
    reasons, place = {"suv_peak": "too small"}, [1.23456, -0.04999, 1234.56789]
    lesion = {"suv_max": 12.3456789, "suv_peak": None, "mtv_ml": 0.123456789, "area_mm2": 9.87654, "reasons": reasons}
    measures = dict.fromkeys(("total_mtv_ml", "total_tlg_g", "suv_max", "dmax_mm", "sdmax_per_m"), 2 / 3)
    record = {
        "case": "a", "has_tumour": 2 / 3, "patient": {**measures, "lesions": 2, "suv_peak": None, "reasons": reasons},
        "lesions": [{**lesion, "id": 1, "centroid_mm": place},
                    {**lesion, "id": 2, "centroid_mm": None, "reasons": {"suv_peak": "at an edge"}}],
    }  # fmt: skip
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "measurements.json").write_text(json.dumps(record))
    write_table(tmp_path, ["a"])
    with (tmp_path / "measurements.csv").open() as stream:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(stream)]
    of_lesion = {"case": "a", "row": "lesion", "has_tumour": "0.6667"}
    sizes = {"area_mm2": "9.9", "mtv_ml": "0.123", "suv_max": "12.346"}
    assert rows == [
        {"case": "a", "row": "patient", "has_tumour": "0.6667", "lesions": "2", "total_mtv_ml": "0.667",
         "total_tlg_g": "0.667", "suv_max": "0.667", "dmax_mm": "0.7", "sdmax_per_m": "0.667",
         "reasons": "suv_peak: too small"},
        {**of_lesion, **sizes, "lesion": "1", "centroid_x_mm": "1.2", "centroid_y_mm": "0.0",
         "centroid_z_mm": "1234.6"},
        {**of_lesion, **sizes, "lesion": "2", "reasons": "suv_peak: at an edge"},
    ]  # fmt: skip
