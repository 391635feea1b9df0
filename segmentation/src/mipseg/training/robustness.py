"""Robustness: how Dice changes when images differ from those of the training in known ways.

Every patient is predicted by the networks that never saw it, with the decoding and the classifier that ship, after the
repairs that every image gets.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from rich.progress import track

from mipseg.errors import ModelError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.dataset import Case
from mipseg.metrics import bootstrap_interval, dice_score
from mipseg.model.classify import Classifier, features
from mipseg.model.inference import Network, infer
from mipseg.model.postprocess import binarise_if_patient
from mipseg.repair import repair
from mipseg.training.checkpoint import load_ema_network
from mipseg.training.evaluate import read_report
from mipseg.training.model_card import REPORT, robustness_table
from mipseg.training.model_selection import Decoding
from mipseg.training.perturb import PERTURBATIONS
from mipseg.training.predict import as_networks
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Intensity, Probability

ROBUSTNESS = "robustness.json"
# Fold and intensity -> tumour probability and patient logit of the networks that left the fold out; see `infer`.
Predict = Callable[[int, Intensity], tuple[Probability, float]]
Robustness = dict[str, dict[str, Any]]


def measure_robustness(run: Run, split: Split, device: torch.device) -> str:
    """Measure every perturbation on every patient and write `robustness.json` into the run's folder.

    Args:
        run: with each fold's checkpoint and `report.json`.
        split: the data set; its patients are taken.
        device: where to predict.

    Returns:
        The result as a Markdown table.

    Raises:
        ModelError: the run was not trained or not evaluated yet, or what is there belongs to another run.
    """
    report = read_report(run, split)
    networks = [
        [network for member in run.members for network in _load(member, split, fold, device)]
        for fold in range(split.count)
    ]
    measured = perturb_and_measure(
        [case for case in split.cases if case.has_tumour],
        split.folds,
        lambda fold, intensity: infer(intensity, networks[fold]),
        Decoding(**report["decoding"]),
        Classifier(**report["classifier"]),
    )
    content = {"of_report": _hash_report(run), "perturbations": measured}
    (run.folder / ROBUSTNESS).write_text(json.dumps(content, indent=1) + "\n")
    return robustness_table(measured)


def _load(run: Run, split: Split, fold: int, device: torch.device) -> list[Network]:
    network = load_ema_network(run.network_folder(fold), run.identity(split, fold)).to(device)
    return as_networks(network, run.config.views, device)


def read_robustness(run: Run) -> Robustness | None:
    """What was measured of a run's robustness; None if nothing was.

    Raises:
        ModelError: it is damaged or belongs to another report.
    """
    file = run.folder / ROBUSTNESS
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text())
        of_report, measured = str(content["of_report"]), dict(content["perturbations"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged ({error!r}); run `robustness` again or remove it") from error
    if of_report != _hash_report(run):
        raise ModelError(f"{file} belongs to another {REPORT}; run `robustness` again or remove it")
    return measured


def _hash_report(run: Run) -> str:
    return hashlib.sha256((run.folder / REPORT).read_bytes()).hexdigest()


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
            changed = perturb(case.image, case.mask, np.random.default_rng(list(case.id.encode())))
            seen = repair(intensity_of_image(changed.image), changed.spacing)
            tumour = np.zeros(seen.intensity.shape, bool)
            if seen.has_body:
                probability, logit = predict_fold(folds[case.id], seen.intensity)
                score = classifier.probability(features(probability, logit))
                tumour = binarise_if_patient(probability, score, *decoding)
            dice[row, column] = dice_score(changed.mask, seen.restore(tumour))
    difference = dice - dice[:, [0]]
    return {
        name: {
            "dice": float(dice[:, column].mean()),
            "difference": float(difference[:, column].mean()),
            "interval_95": bootstrap_interval(difference[:, column]),
        }
        for column, name in enumerate(PERTURBATIONS)
    }
