"""Robustness: how Dice changes when images differ from those of the training in known ways.

Every patient is predicted by the networks that never saw it, with the decoding and the classifier that ship.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from mipseg.errors import DatasetError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.dataset import Case
from mipseg.metrics import dice_score
from mipseg.model.classify import Classifier, features
from mipseg.model.postprocess import binarise_if_patient
from mipseg.training.config import Config
from mipseg.training.model_card import robustness_table
from mipseg.training.model_selection import Decoding, member_folders
from mipseg.training.perturb import PERTURBATIONS
from mipseg.training.predict import predict
from mipseg.training.runs import Run
from mipseg.training.scores import bootstrap_interval
from mipseg.training.train import load_ema_network
from mipseg.types import Intensity, Probability

# Fold and intensity -> tumour probability and patient logit of the networks that left the fold out; see `infer`.
Predict = Callable[[int, Intensity], tuple[Probability, float]]
Robustness = dict[str, dict[str, Any]]


def measure_robustness(
    cases: Sequence[Case], folds: Mapping[str, int], config: Config, folder: Path, device: torch.device
) -> str:
    """Measure every perturbation on every patient and write `robustness.json` into the run's folder.

    Args:
        cases: the data set; its patients are taken.
        folds: the fold of each case id.
        config: the experiment.
        folder: of the run, with each fold's checkpoint and `report.json`.
        device: where to predict.

    Returns:
        The result as a Markdown table.

    Raises:
        DatasetError: the run was not evaluated yet.
        ModelError: a fold was not trained yet.
    """
    report_file = folder / "report.json"
    if not report_file.is_file():
        raise DatasetError(f"{report_file} is missing; run `evaluate` first")
    report: dict[str, Any] = json.loads(report_file.read_text())
    patients = [case for case in cases if case.has_tumour]
    networks = {
        fold: [load_ema_network(member / f"fold{fold}").to(device) for member in member_folders(config, folder)]
        for fold in {folds[case.id] for case in patients}
    }
    robustness = perturb_and_measure(
        patients,
        folds,
        lambda fold, intensity: predict(networks[fold], intensity, device),
        Decoding(**report["decoding"]),
        Classifier(**report["classifier"]),
    )
    (folder / "robustness.json").write_text(json.dumps(robustness, indent=1) + "\n")
    return robustness_table(robustness)


def perturb_and_measure(
    patients: Sequence[Case],
    folds: Mapping[str, int],
    predict_fold: Predict,
    decoding: Decoding,
    classifier: Classifier,
) -> Robustness:
    """Measure every perturbation on every patient.

    Args:
        patients: P cases, at least two.
        folds: the fold of each case id.
        predict_fold: asks the networks that left a fold out about an image.
        decoding: makes the masks.
        classifier: empties them where it is sure that there is no tumour.

    Returns:
        For each perturbation the mean Dice, the mean difference to the unchanged image, and its 95 % interval (paired).
    """
    dice = np.empty((len(patients), len(PERTURBATIONS)))
    for row, case in enumerate(track(patients, "robustness")):
        for column, perturb in enumerate(PERTURBATIONS.values()):
            # The same noise for a case, however many others there are.
            image, reference = perturb(case.image, case.mask, np.random.default_rng(list(case.id.encode())))
            probability, logit = predict_fold(folds[case.id], intensity_of_image(image))
            score = classifier.probability(features(probability, logit))
            dice[row, column] = dice_score(reference, binarise_if_patient(probability, score, *decoding))
    difference = dice - dice[:, [0]]
    return {
        name: {
            "dice": float(dice[:, column].mean()),
            "difference": float(difference[:, column].mean()),
            "interval_95": bootstrap_interval(difference[:, column]),
        }
        for column, name in enumerate(PERTURBATIONS)
    }
