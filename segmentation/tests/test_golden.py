"""The shipped model answers as recorded; `golden/record.py` records anew."""

import json

import numpy as np
import pytest
from PIL import Image

from mipseg.metrics import dice_score
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.settings import Settings
from tests.golden.record import GOLDEN, PHANTOMS, fixed_cases, score

DATA = Settings().data_dir


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(MODELS / Settings().model)


@pytest.mark.parametrize("seed", PHANTOMS)
def test_phantom_mask(segmenter, seed):
    mask = segmenter.segment(np.repeat(make_phantom(seed).mip[:, :, None], 3, axis=2))
    expected = np.asarray(Image.open(GOLDEN / f"phantom_{seed}.png"))
    assert dice_score(expected, mask[:, :, 0]) > 0.995


@pytest.mark.skipif(not (DATA / "patients").is_dir(), reason=f"THE DATA SET IS NOT INSTALLED in {DATA}: make data")
def test_dice_on_real_patients(segmenter):
    recorded = json.loads((GOLDEN / "real_data.json").read_text())
    assert recorded["sha256"] == segmenter.config.sha256, "a new model: run golden/record.py"
    now = score(segmenter, fixed_cases(DATA))
    assert now["patients"] == recorded["patients"]
    assert now["dice"] == pytest.approx(recorded["dice"], abs=1e-3)
    assert now["control_px"] == pytest.approx(recorded["control_px"], abs=2)
