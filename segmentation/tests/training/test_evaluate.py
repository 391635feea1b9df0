import json
import shutil
from dataclasses import replace
from importlib import import_module
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from mipseg.errors import DatasetError
from mipseg.metrics import match_lesions
from mipseg.training import model_selection
from mipseg.training.evaluate import evaluate
from mipseg.training.failure_cases import draw_failure_cases
from mipseg.training.model_selection import PEAKS, TEMPERATURES, Decoding, load_answers, member_folders
from mipseg.training.split import read_folds


def test_report_of_known_answers(answered, cases, config):
    report = evaluate(cases, config, answered)
    assert report["patients"] == 4
    assert report["controls"] == 4
    # Softened enough, the doubtful half is worth taking: that is what has to be chosen, and the Dice is 1.
    assert report["choices"]["temperature"] <= 0.5
    assert report["choices"]["min_patient"] == model_selection.MIN_PATIENT
    assert report["dice"]["mean"] == 1
    assert report["controls_without_false_lesion"] == 1
    lesions = report["lesions"]["any_overlap"]
    assert (lesions["sensitivity"], lesions["ppv"], lesions["f1"]) == (1, 1, 1)
    areas = np.concatenate([match_lesions(c.mask, c.mask).reference_area for c in cases if c.has_tumour])
    assert lesions["sensitivity_by_px"]["10-49"] == [1.0, ((areas >= 10) & (areas < 50)).sum()]
    assert report["classification"]["auc"] == 1
    assert sum(group["cases"] for group in report["reliability"]) == 8
    assert {group["observed"] for group in report["reliability"]} == {0, 1}  # no bin with both kinds
    assert json.loads((answered / "report.json").read_text()) == json.loads(json.dumps(report))
    assert (answered / "report.png").read_bytes().startswith(b"\x89PNG")


def test_runs_that_are_judged_together_are_averaged(answered, change_answers, cases, config):
    shutil.copytree(answered, answered.parent / "other")
    change_answers(lambda name, old: np.full_like(old, 0.001) if name in ("patient_000", "patient_001") else old)
    alone = evaluate(cases, config, answered)["cases"]
    together = replace(config, ensemble=("other",))
    # Half of the other run's certainty is left, 0.5: enough for a tumour that nothing else competes with.
    assert alone["patient_000"] == alone["patient_001"] == 0
    assert min(evaluate(cases, together, answered)["cases"].values()) > 0.5
    assert "Dice 0.000" in draw_failure_cases(cases, config, answered, 1)
    assert "Dice 0.000" not in draw_failure_cases(cases, together, answered, 1)
    first, second, both = (
        load_answers(cases, f)[0] for f in ([answered], [answered.parent / "other"], member_folders(together, answered))
    )
    np.testing.assert_allclose(both.probability, (first.probability + second.probability) / 2, atol=1e-6)
    assert both.patient_logit == 4


def test_dice_is_distributed_as_its_cases(answered, change_answers, cases, config):
    change_answers(lambda name, old: np.zeros_like(old) if name == "patient_001" else old)
    report = evaluate(cases, config, answered)
    assert report["cases"] == {"patient_000": 1, "patient_002": 1, "patient_001": 0, "patient_003": 1}
    # Four values, 0 1 1 1: the lowest third of the way is between the first two.
    assert report["dice"]["deciles"] == pytest.approx([0, 0.3, 0.6, 0.9, *[1] * 7])
    assert report["dice"]["per_fold"] == [1, 0.5]
    assert report["dice"]["below_0.5"] == 1


def test_least_probability_of_a_patient_cleans_controls(answered, change_answers, cases, config, monkeypatch):
    options = (0.0, 0.2)  # eight cases give no surer a classifier
    decodings = [Decoding(*option) for option in product(TEMPERATURES, PEAKS, options)]
    for module in (model_selection, import_module("mipseg.training.evaluate")):
        monkeypatch.setattr(module, "PATIENTS", options)
        monkeypatch.setattr(module, "MIN_PATIENT", 0.2)
        monkeypatch.setattr(module, "DECODINGS", decodings)

    def with_false_lesion(name, old):
        new = old.copy()
        if name.startswith("control"):
            new[40:46, 40:46] = 0.9
        return new

    change_answers(with_false_lesion)
    report = evaluate(cases, config, answered)
    table = {
        row["min_patient"]: (row["dice"], row["controls_without_false_lesion"]) for row in report["by_min_patient"]
    }
    assert tuple(table) == options
    assert table[0.0] == (1, 0)
    assert table[0.2] == (1, 1)
    assert report["choices"]["min_patient"] == 0.2
    assert all(choice["min_patient"] == 0.2 for choice in report["choices_of_folds"])
    assert report["controls_without_false_lesion"] == 1
    assert report["dice"]["mean"] == 1


def test_choices_of_a_fold_do_not_see_its_cases(answered, cases, config):
    # What is doubtful is tumour in fold 0 and is none in fold 1: soft is right for one, sharp for the other, and each
    # gets the other's choice.
    file = answered / "fold1/probabilities.npz"
    with np.load(file) as old:
        answers = dict(old)
    for case in cases:
        if case.id in answers:
            rim = ndimage.binary_dilation(case.mask, iterations=2) & ~case.mask
            answers[case.id] = np.where(case.mask, 0.99, np.where(rim, 0.4, 0.001)).astype(np.float16)
    np.savez_compressed(file, **answers)
    report = evaluate(cases, config, answered)
    assert all(dice < 1 for dice in report["cases"].values()), report["cases"]


def test_missing_fold_is_named(cases, config, run_folder):
    assert len(read_folds(cases)) == len(cases)
    with pytest.raises(DatasetError, match=r"fold0.*train it first"):
        evaluate(cases, config, run_folder)
