import json

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import DatasetError
from mipseg.metrics import match_lesions
from mipseg.training import evaluate as module
from mipseg.training.evaluate import auc, bootstrap_interval, evaluate, fit_classifier, largest_component
from mipseg.training.split import read_folds


def test_auc_of_hand_worked_ranks():
    truth = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1
    assert auc(np.array([0.1, 0.2, 0.8, 0.9]), truth) == 0
    assert auc(np.array([0.9, 0.3, 0.5, 0.1]), truth) == 0.75
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5


def test_bootstrap_interval_holds_the_mean_and_is_repeatable():
    values = np.random.default_rng(0).normal(0.7, 0.2, 142)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    # The normal approximation of the same interval.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(142), rel=0.05)
    assert bootstrap_interval(values) == (low, high)


def test_largest_component():
    tumour = np.zeros((8, 8), bool)
    assert largest_component(tumour) == 0
    tumour[0, 0] = tumour[1, 1] = tumour[5:8, 5:8] = True
    assert largest_component(tumour) == 9


def test_classifier_separates_what_is_separable_and_is_calibrated_where_it_is_not():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 5))
    truth = rng.random(4000) < 1 / (1 + np.exp(-(2 * values[:, 0] - 1)))
    classifier = fit_classifier(values, truth)
    predicted = np.array([classifier.probability(v) for v in values])
    assert predicted.mean() == pytest.approx(truth.mean(), abs=0.01)
    upper = predicted > 0.8
    assert predicted[upper].mean() == pytest.approx(truth[upper].mean(), abs=0.04)


@pytest.fixture
def answered(cases, config, run_folder, monkeypatch):
    """Answers of five folds: half of each tumour is found with certainty, the other half at 0.3."""
    monkeypatch.setattr(module, "FOLDS", 2)
    folds = {case.id: number % 2 for number, case in enumerate(cases)}
    monkeypatch.setattr(module, "read_folds", lambda _: folds)
    for fold in range(2):
        answers = {}
        for case in cases:
            if folds[case.id] == fold:
                half = np.arange(case.mask.shape[1]) % 2 == 0
                answers[case.id] = np.where(case.mask, np.where(half, 0.99, 0.3), 0.001).astype(np.float16)
                answers[f"{case.id}/patient"] = np.float32(4 if case.is_patient else -4)
        (run_folder / f"fold{fold}").mkdir(parents=True)
        np.savez_compressed(run_folder / f"fold{fold}/probabilities.npz", **answers)
    return run_folder


def test_report_of_known_answers(answered, cases, config):
    report = evaluate(cases, config, answered)
    assert report["patients"] == 4
    assert report["controls"] == 4
    # Softened enough, the doubtful half is worth taking: that is what has to be chosen, and the Dice is 1.
    assert report["choices"]["temperature"] <= 0.5
    assert report["dice"]["mean"] == 1
    assert report["controls_without_false_lesion"] == 1
    lesions = report["lesions"]["any_overlap"]
    assert (lesions["sensitivity"], lesions["ppv"], lesions["f1"]) == (1, 1, 1)
    areas = np.concatenate([match_lesions(c.mask, c.mask).reference_area for c in cases if c.is_patient])
    assert lesions["sensitivity_by_px"]["10-49"] == [1.0, ((areas >= 10) & (areas < 50)).sum()]
    assert report["classification"]["auc"] == 1
    assert json.loads((answered / "report.json").read_text()) == json.loads(json.dumps(report))
    assert (answered / "report.png").read_bytes().startswith(b"\x89PNG")


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
    with pytest.raises(DatasetError, match="train fold 0 first"):
        evaluate(cases, config, run_folder)
