"""Where the simulated reader of the viewer's corrections clicks (`bench/clicks.mjs`)."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bench.clicks_cases import Patient, write_patient

SCRIPT = Path(__file__).parents[2] / "bench/clicks.mjs"
NODE = shutil.which("node")
READERS = 30
RADIUS = 9  # pixels, of the missed lesion
INTENSITY = 10  # of the numbers that describe a pixel: the intensity at the click

pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")


def distances_of_clicks(folder: Path, miss: float) -> npt.NDArray[np.float64]:
    """Let readers click on a missed lesion; how far from its centre the clicks of their examples are, in pixels.

    The intensity is that distance. Without a rule one click repairs the lesion.
    """
    y, x = np.mgrid[:60, :50]
    distance = np.hypot(x - 20, y - 30)
    patient = Patient("patient_007", 0, distance < RADIUS, np.rint(distance) / 255, [np.zeros_like(distance)])
    cases = [write_patient(folder, patient._replace(id=f"reader_{n}")) | {"miss": miss} for n in range(READERS)]
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [NODE or "", str(SCRIPT), str(folder), "--examples", str(folder / "examples")]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert answer["dice"]["reader_0"][:2] == [0, 1]
    first = np.cumsum([0, *(click["rows"] for click in answer["index"])])
    table = np.fromfile(folder / "examples", np.float32).reshape(first[-1], -1)
    distances: npt.NDArray[np.float64] = np.rint(255.0 * table[first[:-1], INTENSITY])
    return distances


def test_clicks_are_at_the_centre(tmp_path: Path) -> None:
    assert distances_of_clicks(tmp_path, 0).tolist() == [0] * READERS


def test_who_misses_the_centre_clicks_around_it_and_gives_examples_of_both(tmp_path: Path) -> None:
    at_centre, missed = distances_of_clicks(tmp_path, 3).reshape(READERS, 2).T
    assert at_centre.tolist() == [0] * READERS
    assert set(missed) == {0, 1, 2, 3}


def test_no_click_is_outside_of_the_error(tmp_path: Path) -> None:
    _, missed = distances_of_clicks(tmp_path, 1000).reshape(READERS, 2).T
    assert RADIUS - 2 <= missed.max() <= RADIUS
    assert np.median(missed) > RADIUS / 2  # all pixels of the error are as likely
