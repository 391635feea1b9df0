"""The command as users start it: the real model, several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from mipseg.io.write import write_png
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.pipeline import analyze_file
from mipseg.settings import Settings

SARCOMA = Path(os.environ.get("MIPSEG_TEST_DATA_DIR", "MIPSEG_TEST_DATA_DIR is not set")) / "pet" / "STS_001"
ENVIRONMENT = {**os.environ, "MIPSEG_BFLOAT16": "0"}
MIPSEG = Path(sys.executable).with_name("mipseg")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(MIPSEG), *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.long
def test_several_cases_of_which_one_is_broken(tmp_path: Path) -> None:
    files = [tmp_path / f"phantom_{seed}.png" for seed in (1, 2)]
    for seed, file in enumerate(files, 1):
        write_png(file, make_phantom(seed).mip)
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:-20])
    done = _run("segment", *files, tmp_path / "broken.png", "-o", tmp_path / "out", "--jobs", "2")
    assert done.returncode == 1
    lines = {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: line["status"] for name, line in lines.items()} == {
        "phantom_1": "done",
        "phantom_2": "done",
        "broken": "failed",
    }
    assert lines["broken"]["error"] == "the PNG is cut off"
    assert done.stderr == "failed: broken: the PNG is cut off\nerror: 1 of 3 cases failed\n"
    model = Segmenter(MODELS / Settings().model)
    for file in files:
        mask = np.asarray(PillowImage.open(tmp_path / "out" / file.stem / "mask.png"))
        assert np.array_equal(mask, analyze_file(file, model).mask[:, :, 0])


@pytest.mark.long
@pytest.mark.skipif(not SARCOMA.is_dir(), reason="MIPSEG_TEST_DATA_DIR names no folder with pet/STS_001")
def test_sarcoma_from_disk_to_all_outputs(tmp_path: Path) -> None:
    done = _run("segment", SARCOMA, "-o", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((tmp_path / "STS_001" / "measurements.json").read_text())
    assert record["references"]["liver"]["suv_mean"] == pytest.approx(2.14, abs=0.02)
