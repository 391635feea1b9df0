"""Synthetic answers of networks, for the tests of what follows training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.io.dataset import Case
from mipseg.training.model_selection import Answer
from mipseg.types import Probability

Change = Callable[[Case, Probability], npt.NDArray[np.floating]]


def folds_of(cases: Sequence[Case]) -> dict[str, int]:
    """Two folds."""
    return {case.id: number % 2 for number, case in enumerate(cases)}


def synthetic_answers(cases: Sequence[Case]) -> list[Answer]:
    """Half of each tumour is found with certainty, the other half at 0.3; the patient head is right."""
    folds, answers = folds_of(cases), []
    for case in cases:
        half = np.arange(case.mask.shape[1]) % 2 == 0
        probability = np.where(case.mask, np.where(half, 0.99, 0.3), 0.001).astype(np.float32)
        answers.append(Answer(case, folds[case.id], probability, 4.0 if case.has_tumour else -4.0))
    return answers


def changed(answers: Sequence[Answer], change: Change) -> list[Answer]:
    """The same answers with another map: case and map -> new map."""
    return [replace(a, probability=change(a.case, a.probability).astype(np.float32)) for a in answers]


def write_answers(answers: Sequence[Answer], run: Path) -> Path:
    """Write answers as training would into a run's folder, which is returned."""
    for fold in {answer.fold for answer in answers}:
        content: dict[str, Any] = {}
        for answer in answers:
            if answer.fold == fold:
                content[answer.case.id] = answer.probability.astype(np.float16)
                content[f"{answer.case.id}/patient"] = np.asarray(answer.patient_logit, np.float32)
        (run / f"fold{fold}").mkdir(parents=True, exist_ok=True)
        np.savez_compressed(run / f"fold{fold}/probabilities.npz", **content)
    return run
