from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.io.dataset import Case
from mipseg.training.config import Config
from mipseg.training.failure_cases import draw_failure_cases
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Probability
from tests.training.answers import changed, synthetic_answers, write_answers


def test_worst_patients_are_listed_and_drawn(split: Split, config: Config, tmp_path: Path) -> None:
    cases = split.cases
    below = np.arange(128)[:, None] < np.median(np.argwhere(cases[2].mask)[:, 0])

    def lose(case: Case, old: Probability) -> Probability:
        lost = np.full_like(old, case.id == "patient_001", bool) | (below & (case.id == "patient_002"))
        return np.where(lost, np.float32(0.001), old)

    run = write_answers(changed(synthetic_answers(split), lose), Run(config, tmp_path / "run"), split)
    images = run.folder / "failure_cases"
    images.mkdir()
    (images / "09_patient_009.png").write_bytes(b"of an earlier call")
    lines = draw_failure_cases(run, split, 2).splitlines()
    areas = [int(case.mask.sum()) for case in cases]
    found = int((cases[2].mask & ~below).sum())
    assert lines == [
        f"1. patient_001: Dice 0.000, reference {areas[1]} px, prediction 0 px",
        f"2. patient_002: Dice {2 * found / (areas[2] + found):.3f}, reference {areas[2]} px, prediction {found} px",
    ]
    assert sorted(file.name for file in images.iterdir()) == ["01_patient_001.png", "02_patient_002.png"]
    for file in images.iterdir():
        with Image.open(file) as image:
            assert image.width == 1200
