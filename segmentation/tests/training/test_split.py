import json
from collections import Counter

import numpy as np

from mipseg.io.dataset import Case
from mipseg.training.split import FOLDS_FILE, make_folds, read_folds


def many_cases() -> list[Case]:
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(63):
        height = 900 if number % 9 == 0 else 489
        mask = np.zeros((height, 4), bool)
        mask[: rng.integers(1, 300)] = number < 33
        drawn.append(Case(f"{'patient' if number < 33 else 'control'}_x{number}", np.zeros_like(mask, np.uint8), mask))
    return drawn


def test_folds_are_even_stratified_and_repeatable():
    cases = many_cases()
    folds = make_folds(cases)
    assert folds == make_folds(list(reversed(cases)))
    for group in ("patient", "control"):
        counts = Counter(fold for name, fold in folds.items() if name.startswith(group))
        assert max(counts.values()) - min(counts.values()) <= 1
    tall = Counter(folds[c.id] for c in cases if c.image.shape[0] == 900)
    assert max(tall.values()) - min(tall.values()) <= 2
    # Small and large tumours are shared out: the quarter with the smallest is spread over all folds.
    patients = sorted((c for c in cases if c.has_tumour and c.image.shape[0] < 600), key=lambda c: c.mask.sum())
    smallest = Counter(folds[c.id] for c in patients[:10])
    assert smallest == dict.fromkeys(range(5), 2)


def test_kept_file_decides_and_unknown_cases_are_dealt_anew():
    kept = json.loads(FOLDS_FILE.read_text())
    assert sum(name.startswith("patient") for name in kept) == 142
    assert sum(name.startswith("control") for name in kept) == 342
    known = Case(
        "patient_001" if "patient_001" in kept else next(iter(kept)), np.zeros((9, 9), np.uint8), np.ones((9, 9), bool)
    )
    folds = read_folds([*many_cases(), known])
    assert folds[known.id] == kept[known.id]
    assert folds.keys() == {known.id, *(c.id for c in many_cases())}
