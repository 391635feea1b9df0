"""The shipped model answers as recorded; `golden/record.py` records anew."""

import json

import numpy as np
import pytest
from PIL import Image

from mipseg.io.arrays import intensity_of_image
from mipseg.metrics import dice_score
from mipseg.model.segmenter import Segmenter
from mipseg.phantom import make_phantom
from mipseg.settings import Settings
from tests.golden.record import GOLDEN, PHANTOMS, fixed_cases, score

DATA = Settings().data_dir


@pytest.mark.parametrize("seed", PHANTOMS)
def test_phantom_mask(segmenter: Segmenter, seed: int) -> None:
    tumour = segmenter.segment(intensity_of_image(make_phantom(seed).mip)).tumour
    expected = np.asarray(Image.open(GOLDEN / f"phantom_{seed}.png"))
    assert dice_score(expected, tumour) > 0.995


@pytest.mark.long
@pytest.mark.skipif(not (DATA / "patients").is_dir(), reason=f"THE DATA SET IS NOT INSTALLED in {DATA}: make data")
def test_dice_on_real_patients(segmenter: Segmenter) -> None:
    recorded = json.loads((GOLDEN / "real_data.json").read_text())
    assert recorded["sha256"] == segmenter.config.sha256, "a new model: run golden/record.py"
    now = score(segmenter, fixed_cases(DATA))
    assert now["patients"] == recorded["patients"]
    assert now["dice"] == pytest.approx(recorded["dice"], abs=1e-3)
    assert now["control_px"] == pytest.approx(recorded["control_px"], abs=2)
