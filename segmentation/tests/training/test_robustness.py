import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

import torch

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.metrics import dice_score
from mipseg.model.classify import Classifier, features
from mipseg.model.inference import infer
from mipseg.model.postprocess import binarise_if_patient
from mipseg.repair import repair
from mipseg.training.checkpoint import CHECKPOINT, load_ema_network
from mipseg.training.config import BOTH, Config
from mipseg.training.evaluate import evaluate, read_report
from mipseg.training.model_card import robustness_table
from mipseg.training.model_selection import Decoding
from mipseg.training.perturb import PERTURBATIONS
from mipseg.training.predict import as_networks
from mipseg.training.robustness import (
    Predict,
    Robustness,
    measure_robustness,
    perturb_and_measure,
    read_robustness,
)
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Intensity, Probability

CPU = torch.device("cpu")
MASK = np.zeros((100, 80), bool)
MASK[20:40, 50:70] = True
SHADES = np.add.outer(np.linspace(172, 194, 100), np.linspace(0, 20, 80))
IMAGE = np.where(MASK, 0, SHADES).astype(np.uint8)  # a hot square, off the middle, on a warm body
PATIENTS = [Case("patient_a", IMAGE, MASK), Case("patient_b", IMAGE, MASK)]
HEAD_ALONE = Classifier(mean=[0] * 5, scale=[1] * 5, weights=[1, 0, 0, 0, 0], bias=0)


def hot_is_tumour(_: int, intensity: Intensity) -> tuple[Probability, float]:
    """High intensity is the probability; the head's logit is 2, a probability of 0.88."""
    return np.where(intensity > 0.5, intensity, 0), 2.0


def measured(predict: Predict = hot_is_tumour, min_patient: float = 0.5) -> Robustness:
    folds = {"patient_a": 1, "patient_b": 0}
    return perturb_and_measure(PATIENTS, folds, predict, Decoding(1.0, 0.7, min_patient), HEAD_ALONE)


def test_perturbed_images_are_compared_with_the_unchanged() -> None:
    robustness = measured()
    assert list(robustness) == list(PERTURBATIONS)
    assert robustness["unchanged"] == {"dice": 1, "difference": 0, "interval_95": (0, 0)}
    assert robustness["mirrored"]["dice"] == 1
    # A window to 10 leaves the lesion at 0.6, below the least peak.
    assert robustness["SUV window to 10 instead of 6"] == {"dice": 0, "difference": -1, "interval_95": (-1, -1)}
    _, _, first, _, narrow, *_ = robustness_table(robustness).splitlines()
    assert first == "| unchanged | 1.000 |  |"
    assert narrow == "| SUV window to 4 instead of 6 | 1.000 | +0.000 (+0.000 to +0.000) |"


def test_each_patient_is_predicted_by_the_networks_that_left_its_fold_out() -> None:
    asked = []

    def predict(fold: int, intensity: Intensity) -> tuple[Probability, float]:
        asked.append(fold)
        return hot_is_tumour(fold, intensity)

    measured(predict)
    times = len(PERTURBATIONS)
    assert asked == [1] * times + [0] * times


def test_classifier_empties_masks() -> None:
    assert measured(min_patient=0.9)["unchanged"]["dice"] == 0


def test_interval_is_of_the_paired_differences() -> None:
    # Fold 0 finds the upper half only, fold 1 everything; mirrored, each finds nothing on the right half of the image.
    # Both lose all, one from 1 and one from 2/3.
    def predict(fold: int, intensity: Intensity) -> tuple[Probability, float]:
        probability, logit = hot_is_tumour(fold, intensity)
        height, width = probability.shape  # as the repairs resize it
        probability[:, : width // 2] = 0
        if fold == 0:
            probability[round(0.3 * height) :] = 0
        return probability, logit

    robustness = measured(predict)
    assert robustness["unchanged"]["dice"] == pytest.approx((1 + 2 / 3) / 2, abs=0.02)
    assert robustness["mirrored"]["difference"] == pytest.approx(-(1 + 2 / 3) / 2, abs=0.02)
    assert robustness["mirrored"]["interval_95"] == pytest.approx((-1, -2 / 3), abs=0.04)
    assert robustness["noise of 5 grey values"]["interval_95"] == pytest.approx((0, 0), abs=0.02)


@pytest.fixture
def evaluated(trained_run: Run, split: Split, tmp_path: Path) -> Run:
    """A copy of the trained run, with its report."""
    run = replace(trained_run, folder=tmp_path / "run")
    shutil.copytree(trained_run.folder, run.folder)
    evaluate(run, split)
    return run


def test_run_is_measured_and_kept(evaluated: Run, split: Split) -> None:
    assert read_robustness(evaluated) is None
    # The classifier is always sure of a tumour, and the network of fold 1 takes everything for tumour, so that one can
    # tell the networks of the folds apart.
    report = read_report(evaluated, split)
    report["classifier"] = asdict(Classifier(mean=[0] * 5, scale=[1] * 5, weights=[0] * 5, bias=10))
    (evaluated.folder / "report.json").write_text(json.dumps(report))
    file = evaluated.network_folder(1) / CHECKPOINT
    content = torch.load(file, weights_only=True)
    content["ema_network"]["tumour.bias"] += 40
    torch.save(content, file)
    table = measure_robustness(evaluated, split, CPU)
    measured = read_robustness(evaluated)
    assert measured is not None
    assert list(measured) == list(PERTURBATIONS)
    assert table == robustness_table(measured)
    classifier, decoding, dice = Classifier(**report["classifier"]), Decoding(**report["decoding"]), []
    for fold in (0, 1):
        network = load_ema_network(evaluated.network_folder(fold), evaluated.identity(split, fold))
        for case in split.left_out(fold)[:2]:  # the patients
            seen = repair(case.intensity, None)
            probability, logit = infer(seen.intensity, as_networks(network, BOTH, CPU))
            score = classifier.probability(features(probability, logit))
            tumour = seen.restore(binarise_if_patient(probability, score, *decoding))
            dice.append(dice_score(case.mask, tumour))
    assert min(dice[2:]) > 0
    assert measured["unchanged"]["dice"] == pytest.approx(np.mean(dice))


def test_robustness_of_an_earlier_report_is_refused(evaluated: Run, split: Split) -> None:
    (evaluated.folder / "robustness.json").write_text('{"of_report": "another", "perturbations": {}}')
    with pytest.raises(ModelError, match=r"robustness\.json belongs to another report\.json"):
        read_robustness(evaluated)
    (evaluated.folder / "robustness.json").write_text("{}")
    with pytest.raises(ModelError, match=r"robustness\.json is damaged"):
        read_robustness(evaluated)


def test_run_must_be_evaluated_first(split: Split, config: Config, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run `evaluate` first"):
        measure_robustness(Run(config, tmp_path), split, CPU)
