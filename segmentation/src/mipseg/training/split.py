"""The fixed split: five folds, stratified by image height and tumour size."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mipseg.io.dataset import Case

FOLDS = 5
SEED = 20251
FOLDS_FILE = Path(__file__).parent / "folds.json"


def make_folds(cases: Sequence[Case]) -> dict[str, int]:
    """Deal cases to folds so that each fold gets short and tall images, and small and large tumours, alike.

    Patients and controls are dealt apart. Each group is sorted by height class and then by tumour area, cut into
    runs of five, and each run dealt to the five folds in random order.

    Returns:
        The fold, 0 to 4, of each case id.
    """
    rng = np.random.default_rng(SEED)
    folds: dict[str, int] = {}
    for group in ([c for c in cases if c.has_tumour], [c for c in cases if not c.has_tumour]):
        ordered = sorted(group, key=lambda c: (c.image.shape[0] > 600, int(c.mask.sum()), c.image.shape[0], c.id))
        for start in range(0, len(ordered), FOLDS):
            run = ordered[start : start + FOLDS]
            folds.update({case.id: int(fold) for case, fold in zip(run, rng.permutation(FOLDS), strict=False)})
    return dict(sorted(folds.items()))


def read_folds(cases: Sequence[Case]) -> dict[str, int]:
    """The fold of each case: the file that is kept with the code decides; cases it does not name are dealt anew."""
    kept: dict[str, int] = json.loads(FOLDS_FILE.read_text())
    fresh = make_folds([case for case in cases if case.id not in kept])
    folds = kept | fresh
    return {case.id: folds[case.id] for case in cases}


if __name__ == "__main__":
    from mipseg.io.dataset import load_dataset
    from mipseg.settings import Settings

    FOLDS_FILE.write_text(json.dumps(make_folds(load_dataset(Settings().data_dir)), indent=0) + "\n")
