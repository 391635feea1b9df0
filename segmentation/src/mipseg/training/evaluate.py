"""The cross-validated report: every case is judged by the model that never saw it.

Whatever is chosen here (temperature, least peak, classifier) is chosen for each fold on the other four, so that
the reported numbers are of choices that did not see their cases either. The shipped choice is made on all five.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize, stats

from mipseg.classify import Classifier, features
from mipseg.dataset import Case
from mipseg.errors import DatasetError
from mipseg.metrics import dice_score, match_lesions
from mipseg.postprocess import NEIGHBOURS, decode
from mipseg.training.config import Config
from mipseg.training.report_figure import save_report_figure
from mipseg.training.split import FOLDS, read_folds
from mipseg.types import Binary, Probability

TEMPERATURES = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
PEAKS = (0.0, 0.4, 0.5, 0.6, 0.7)
LESION_SIZES = (1, 10, 50, 250, float("inf"))  # px
FALSE_LESION_PX = 20  # a false component of this size makes a control count as not clean
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One case with the answer of the model that never saw it."""

    case: Case
    fold: int
    probability: Probability
    patient_logit: float


def load_answers(cases: Sequence[Case], folder: Path) -> list[Judged]:
    """Read the answers of all folds.

    Raises:
        DatasetError: a fold was not trained yet.
    """
    folds, judged = read_folds(cases), []
    for fold in range(FOLDS):
        file = folder / f"fold{fold}" / "probabilities.npz"
        if not file.is_file():
            raise DatasetError(f"{file} is missing; train fold {fold} first")
        with np.load(file) as answers:
            judged += [
                Judged(c, fold, answers[c.id].astype(np.float32), float(answers[f"{c.id}/patient"]))
                for c in cases
                if folds[c.id] == fold
            ]
    return judged


def fit_classifier(values: Vector, is_patient: npt.NDArray[np.bool_]) -> Classifier:
    """Logistic regression with a weak ridge penalty, on standardised features.

    Args:
        values: (N, 5) features.
        is_patient: (N,) truth.
    """
    mean, scale = values.mean(0), values.std(0) + 1e-6
    z, sign = (values - mean) / scale, np.where(is_patient, 1.0, -1.0)

    def penalised(parameters: Vector) -> float:
        margin = sign * (z @ parameters[:-1] + parameters[-1])
        return float(np.logaddexp(0, -margin).sum() + 0.5 * (parameters[:-1] ** 2).sum())

    found = optimize.minimize(penalised, np.zeros(values.shape[1] + 1), method="L-BFGS-B").x
    return Classifier(mean.tolist(), scale.tolist(), found[:-1].tolist(), float(found[-1]))


def auc(score: Vector, is_patient: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve, by ranks (Mann-Whitney U; ties count half)."""
    ranks = stats.rankdata(score)
    positive, negative = int(is_patient.sum()), int((~is_patient).sum())
    return float((ranks[is_patient].sum() - positive * (positive + 1) / 2) / (positive * negative))


def bootstrap_interval(values: Vector, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean over 10,000 resamples of the cases."""
    draws = np.random.default_rng(seed).integers(len(values), size=(10_000, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)


def largest_component(tumour: Binary) -> int:
    """Pixels of the largest component, 0 for an empty mask."""
    labels, count = ndimage.label(tumour, NEIGHBOURS)
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def lesion_report(pairs: Sequence[tuple[Binary, Binary]]) -> dict[str, Any]:
    """Sensitivity and positive predictive value over all lesions of all patients, by size, and F1.

    Args:
        pairs: reference and prediction of each patient.
    """
    report: dict[str, Any] = {}
    for name, least_iou in (("any_overlap", 0.0), ("iou_0.1", 0.1)):
        matches = [match_lesions(reference, prediction, least_iou) for reference, prediction in pairs]
        found, true = np.concatenate([m.found for m in matches]), np.concatenate([m.true for m in matches])
        sensitivity, ppv = float(found.mean()), float(true.mean()) if true.size else 0.0
        report[name] = {
            "sensitivity": sensitivity,
            "ppv": ppv,
            "f1": 2 * sensitivity * ppv / (sensitivity + ppv) if sensitivity + ppv else 0.0,
            "sensitivity_by_px": _by_size(np.concatenate([m.reference_area for m in matches]), found),
            "ppv_by_px": _by_size(np.concatenate([m.prediction_area for m in matches]), true),
        }
    return report


def _by_size(areas: npt.NDArray[np.int64], good: npt.NDArray[np.bool_]) -> dict[str, list[float | int | None]]:
    """For each class of size: share of the good ones (None without any) and how many there are."""
    report: dict[str, list[float | int | None]] = {}
    for low, high in pairwise(LESION_SIZES):
        inside = good[(areas >= low) & (areas < high)]
        name = f"{low:.0f}-{high - 1:.0f}" if np.isfinite(high) else f"{low:.0f}+"
        report[name] = [round(float(inside.mean()), 4) if inside.size else None, int(inside.size)]
    return report


def _nested(folds: npt.NDArray[np.int64], choose: Callable[[npt.NDArray[np.bool_]], Any]) -> list[Any]:
    """What `choose` picks for each fold when it sees the other folds only."""
    return [choose(folds != fold) for fold in range(FOLDS)]


def evaluate(cases: Sequence[Case], config: Config, folder: Path) -> dict[str, Any]:
    """Judge a run and write `report.json` and `report.png` into its folder.

    Returns:
        The report, with the shipped choices under `choices`.
    """
    judged = load_answers(cases, folder)
    patients, controls = ([j for j in judged if j.case.is_patient == wanted] for wanted in (True, False))
    options = list(product(TEMPERATURES, PEAKS))
    table = np.array(
        [[dice_score(j.case.mask, decode(j.probability, *option)) for option in options] for j in patients]
    )  # (patients, options)

    def best(rows: npt.NDArray[np.bool_]) -> int:
        return int(table[rows].mean(0).argmax())

    chosen = _nested(np.array([j.fold for j in patients]), best)
    dice = np.array([table[row, chosen[j.fold]] for row, j in enumerate(patients)])
    false_px = np.array([largest_component(decode(j.probability, *options[chosen[j.fold]])) for j in controls])
    values = np.array([features(j.probability, j.patient_logit) for j in judged])
    truth, folds = np.array([j.case.is_patient for j in judged]), np.array([j.fold for j in judged])
    classifiers = _nested(folds, lambda rows: fit_classifier(values[rows], truth[rows]))
    score = np.array([classifiers[j.fold].probability(value) for j, value in zip(judged, values, strict=True)])
    temperature, min_peak = options[best(np.ones(len(patients), bool))]
    report = {
        "config": asdict(config),
        "patients": len(patients),
        "controls": len(controls),
        "dice": {
            "mean": float(dice.mean()),
            "median": float(np.median(dice)),
            "interval_95": bootstrap_interval(dice),
            "per_fold": [float(dice[[j.fold == f for j in patients]].mean()) for f in range(FOLDS)],
            "below_0.5": int((dice < 0.5).sum()),
        },
        "lesions": lesion_report([(j.case.mask, decode(j.probability, *options[chosen[j.fold]])) for j in patients]),
        "controls_without_false_lesion": float((false_px < FALSE_LESION_PX).mean()),
        "classification": {
            "auc": auc(score, truth),
            "auc_summed_probability": auc(values[:, 2], truth),
            "auc_head": auc(values[:, 0], truth),
            "brier": float(((score - truth) ** 2).mean()),
        },
        "choices": {
            "temperature": temperature,
            "min_peak": min_peak,
            "classifier": asdict(fit_classifier(values, truth)),
        },
        "cases": {j.case.id: round(float(d), 4) for j, d in zip(patients, dice, strict=True)},
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    areas = np.array([j.case.mask.sum() for j in patients])
    save_report_figure(folder / "report.png", dice, areas, score, truth)
    return report
