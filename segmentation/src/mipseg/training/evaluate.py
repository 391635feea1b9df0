"""The cross-validated report: every case is judged by models, and by choices, that never saw it."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from mipseg.training.model_selection import (
    DECODINGS,
    MIN_PATIENT,
    PATIENTS,
    Table,
    cross_validate,
    decodings_with,
    fit_classifier,
    load_answers,
)
from mipseg.training.report_figure import save_report_figure
from mipseg.training.runs import Run
from mipseg.training.scores import auc, bootstrap_interval, lesion_report, reliability
from mipseg.training.split import FOLDS, Split


def evaluate(run: Run, split: Split) -> dict[str, Any]:
    """Judge a run, averaged with those of its configuration, and write `report.json` and `report.png` into its folder.

    Returns:
        The report, with the shipped choices under `choices`.
    """
    validation = cross_validate(load_answers(run, split))
    table, score, truth = validation.table, validation.patient, validation.table.has_tumour
    dice, clean = table.result(validation.chosen)
    patients = np.flatnonzero(truth).tolist()
    references = [validation.answers[number].case for number in patients]
    everything = np.ones(len(truth), bool)
    report = {
        "config": asdict(run.config),
        "identities": {
            member.config.name: [member.identity(split, fold).to_json() for fold in range(split.count)]
            for member in run.members
        },
        "patients": len(patients),
        "controls": len(truth) - len(patients),
        "dice": {
            "mean": float(dice.mean()),
            "median": float(np.median(dice)),
            "interval_95": bootstrap_interval(dice),
            "deciles": np.percentile(dice, range(0, 101, 10)).tolist(),  # from the lowest Dice to the highest
            "per_fold": [float(dice[table.fold[truth] == fold].mean()) for fold in range(FOLDS)],
            "below_0.5": int((dice < 0.5).sum()),
        },
        "lesions": lesion_report(
            [(case.mask, validation.mask(n)) for n, case in zip(patients, references, strict=True)]
        ),
        "controls_without_false_lesion": clean,
        "by_min_patient": _by_min_patient(table),
        "classification": {
            "auc": auc(score, truth),
            "auc_summed_probability": auc(validation.values[:, 2], truth),
            "auc_head": auc(validation.values[:, 0], truth),
            "brier": float(((score - truth) ** 2).mean()),
        },
        "reliability": [group._asdict() for group in reliability(score, truth)],
        "choices": {
            **DECODINGS[table.best(everything, decodings_with(MIN_PATIENT))]._asdict(),
            "classifier": asdict(fit_classifier(validation.values, truth)),
        },
        "choices_of_folds": [DECODINGS[number]._asdict() for number in validation.chosen],
        "cases": {case.id: round(float(d), 4) for case, d in zip(references, dice, strict=True)},
    }
    (run.folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    save_report_figure(
        run.folder / "report.png", dice, np.array([case.mask.sum() for case in references]), score, truth
    )
    return report


def _by_min_patient(table: Table) -> list[dict[str, float]]:
    """What each `min_patient` would give, if the rest of the decoding were chosen on the other folds as ever."""
    rows = []
    for min_patient in PATIENTS:
        dice, clean = table.result(table.nested(decodings_with(min_patient)))
        rows.append({"min_patient": min_patient, "dice": float(dice.mean()), "controls_without_false_lesion": clean})
    return rows
