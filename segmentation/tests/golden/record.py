"""Record what the shipped model answers: run this after a new model is exported, and look at the difference.

uv run python segmentation/tests/golden/record.py
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mipseg.io.arrays import intensity_of_image
from mipseg.io.dataset import Case, iter_cases
from mipseg.metrics import dice_score
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.settings import Settings

GOLDEN = Path(__file__).parent
PHANTOMS = (1, 2, 3)


def fixed_cases(root: Path) -> list[Case]:
    """Every sixth patient and every twentieth control of those that the folds file names."""
    names = json.loads((Path(__file__).parents[2] / "src/mipseg/training/folds.json").read_text())
    cases = [case for case in iter_cases(root) if case.id in names]
    return [c for c in cases if c.has_tumour][::6] + [c for c in cases if not c.has_tumour][::20]


def score(segmenter: Segmenter, cases: list[Case]) -> dict[str, float]:
    """Mean Dice of the patients, and the pixels marked in a control on average."""
    dice, marked = [], []
    for case in cases:
        tumour = segmenter.segment(case.intensity).tumour
        if case.has_tumour:
            dice.append(dice_score(case.mask, tumour))
        else:
            marked.append(int(tumour.sum()))
    return {"patients": len(dice), "dice": float(np.mean(dice)), "control_px": float(np.mean(marked))}


def main() -> None:
    """Write the masks of the phantoms and the score of the fixed cases."""
    segmenter = Segmenter(MODELS / Settings().model)  # in float32: alike on every machine
    for seed in PHANTOMS:
        tumour = segmenter.segment(intensity_of_image(make_phantom(seed).mip)).tumour
        Image.fromarray(tumour).save(GOLDEN / f"phantom_{seed}.png")
    recorded = {"sha256": segmenter.config.sha256} | score(segmenter, fixed_cases(Settings().data_dir))
    (GOLDEN / "real_data.json").write_text(json.dumps(recorded, indent=1) + "\n")
    sys.stdout.write(f"{recorded}\n")


if __name__ == "__main__":
    main()
