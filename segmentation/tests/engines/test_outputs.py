"""The files of a volume with more lesions than a report holds."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mipseg.engines import outputs
from mipseg.engines.outputs import write_volume
from mipseg.engines.plan import Options, Plan, Provenance
from mipseg.io.read import read_volume
from mipseg.settings import Settings
from mipseg.volume_pipeline import analyze_volume
from tests.cli.stub import HotSpots
from tests.io.pet_files import make_slices, write_slices
from tests.io.test_dicom_sr import groups_of


def test_the_report_has_the_largest_lesions_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MAX_REPORTED", 2)
    monkeypatch.setattr("mipseg.volume_pipeline.judge", lambda _: ())  # it is no body
    stored = np.full((12, 6, 40), 900, np.int16)
    for first, side in ((2, 2), (14, 4), (28, 3)):
        stored[4 : 4 + side, 2:4, first : first + side] = 8000
    volume = read_volume(write_slices(tmp_path / "pet", make_slices(stored)))
    plan = Plan(tmp_path, Settings(), Options(), Provenance("1", "net", "a" * 64, "-"), datetime.now(UTC))
    record = write_volume(tmp_path, volume, analyze_volume(volume, HotSpots()), plan, "identity")  # type: ignore[arg-type]
    assert len(record["lesions"]) == 3
    assert record["warnings"][-1] == "report: report.dcm has the 2 largest of 3 lesions"
    names = [name for name, _ in groups_of(dcmread(tmp_path / "report.dcm"))]
    assert names == ["All lesions", "Lesion 1", "Lesion 2"]
