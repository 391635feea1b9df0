"""The cross-validated report: every case is judged by networks, and by a model selection, that never saw it."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import brier_score_loss, roc_auc_score

from mipseg.errors import ModelError
from mipseg.metrics import FALSE_LESION_PX, bootstrap_interval, calibration_bins
from mipseg.training.identity import Identity
from mipseg.training.model_card import REPORT
from mipseg.training.model_selection import (
    CrossValidation,
    SearchSpace,
    Table,
    cross_validate,
    fit_classifier,
    load_answers,
)
from mipseg.training.predict import PROBABILITIES, check_probabilities
from mipseg.training.report_figure import save_report_figure
from mipseg.training.runs import Run
from mipseg.training.scores import Vector, lesion_report
from mipseg.training.split import Split

DEFAULT_SPACE = SearchSpace()
DICE_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
LOWEST = 10  # patients of lowest Dice that are named


def evaluate(run: Run, split: Split, space: SearchSpace = DEFAULT_SPACE) -> dict[str, Any]:
    """Judge a run, averaged with those of its ensemble, and write `report.json` and `report.png` into its folder.

    Returns:
        The report; the decoding and the classifier that ship are under `decoding` and `classifier`.

    Raises:
        ModelError: a fold was not trained yet, or what is there belongs to another run.
    """
    validation = cross_validate(load_answers(run, split), space)
    identities = {
        member.config.name: [
            check_probabilities(member.network_folder(fold) / PROBABILITIES, member.identity(split, fold)).to_json()
            for fold in range(split.count)
        ]
        for member in run.members
    }
    report = {"config": asdict(run.config), "identities": identities} | make_report(validation, space)
    (run.folder / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    save_report_figure(run.folder / "report.png", validation)
    return report


def read_report(run: Run, split: Split) -> dict[str, Any]:
    """Read the report of a run.

    Raises:
        ModelError: it is missing or damaged, or it is about other networks.
    """
    file = run.folder / REPORT
    if not file.is_file():
        raise ModelError(f"{file} is missing; run `evaluate` first")
    names = [member.config.name for member in run.members]
    try:
        report: dict[str, Any] = json.loads(file.read_text())
        if list(report["identities"]) != names:
            raise ModelError(
                f"{file} is about {', '.join(report['identities'])}, not {', '.join(names)}; run `evaluate`"
            )
        for member in run.members:
            for fold in range(split.count):
                found = Identity(**report["identities"][member.config.name][fold])
                found.require(member.identity(split, fold), file)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged ({error!r}); run `evaluate` again") from error
    return report


def make_report(validation: CrossValidation, space: SearchSpace) -> dict[str, Any]:
    """All measures of a cross-validation.

    Args:
        validation: of patients and controls.
        space: the decodings that were selected from.

    Returns:
        What `report.json` says besides the run's identity.
    """
    table, score = validation.table, validation.score
    has_tumour, patients = table.has_tumour, validation.patients
    dice, clean = table.result(validation.selected)
    by_case = dict(zip((validation.answers[n].case.id for n in patients), dice.tolist(), strict=True))
    shipped = table.best(np.ones(len(has_tumour), bool), space.min_patient)
    return {
        "patients": len(patients),
        "controls": len(has_tumour) - len(patients),
        "dice": _dice_report(dice, table.fold[has_tumour]),
        "lesions": lesion_report([(validation.answers[n].case.mask, validation.mask(n)) for n in patients]),
        "false_lesion_px": FALSE_LESION_PX,
        "controls_without_false_lesion": clean,
        "by_min_patient": _by_min_patient(table, space),
        "classification": {
            "auc": float(roc_auc_score(has_tumour, score)),
            "auc_summed_probability": float(roc_auc_score(has_tumour, validation.values[:, 2])),
            "auc_head": float(roc_auc_score(has_tumour, validation.values[:, 0])),
            "brier": float(brier_score_loss(has_tumour, score)),
        },
        "calibration_curve": [group._asdict() for group in calibration_bins(score, has_tumour)],
        "decoding": table.decodings[shipped]._asdict(),
        "classifier": asdict(fit_classifier(validation.values, has_tumour)),
        "decoding_of_folds": [table.decodings[number]._asdict() for number in validation.selected.values()],
        "lowest_dice": {name: round(by_case[name], 4) for name in sorted(by_case, key=by_case.__getitem__)[:LOWEST]},
        "dice_of_cases": {name: round(value, 4) for name, value in by_case.items()},
    }


def _dice_report(dice: Vector, fold: npt.NDArray[np.int64]) -> dict[str, Any]:
    """How the Dice of P patients is distributed."""
    counts, _ = np.histogram(dice, DICE_EDGES)
    return {
        "mean": float(dice.mean()),
        "median": float(np.median(dice)),
        "interval_95": bootstrap_interval(dice),
        "deciles": np.percentile(dice, range(0, 101, 10)).tolist(),  # from the lowest Dice to the highest
        "per_fold": [float(dice[fold == f].mean()) for f in np.unique(fold)],
        "patients_from": dict(zip(map(str, DICE_EDGES[:-1]), counts.tolist(), strict=True)),  # by the bin's lower edge
    }


def _by_min_patient(table: Table, space: SearchSpace) -> list[dict[str, float]]:
    """What each `min_patient` would give, with the rest of the decoding selected on the other folds."""
    rows = []
    for min_patient in space.min_patients:
        dice, clean = table.result(table.nested(min_patient))
        rows.append({"min_patient": min_patient, "dice": float(dice.mean()), "controls_without_false_lesion": clean})
    return rows
