"""Synthetic answers of networks, for the tests of what follows training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.io.dataset import Case
from mipseg.training.model_selection import Answer
from mipseg.training.predict import PROBABILITIES, write_probabilities
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Probability

Change = Callable[[Case, Probability], npt.NDArray[np.floating]]


def synthetic_answers(split: Split) -> list[Answer]:
    """Half of each tumour is found with certainty, the other half at 0.3; the patient head is right."""
    answers = []
    for case in split.cases:
        half = np.arange(case.mask.shape[1]) % 2 == 0
        probability = np.where(case.mask, np.where(half, 0.99, 0.3), 0.001).astype(np.float32)
        answers.append(Answer(case, split.folds[case.id], probability, 4.0 if case.has_tumour else -4.0))
    return answers


def changed(answers: Sequence[Answer], change: Change) -> list[Answer]:
    """The same answers with another map: case and map -> new map."""
    return [replace(a, probability=change(a.case, a.probability).astype(np.float32)) for a in answers]


def write_answers(answers: Sequence[Answer], run: Run, split: Split) -> Run:
    """Write answers as training would into a run's folder."""
    for fold in range(split.count):
        of_fold: dict[str, Any] = {
            answer.case.id: (answer.probability.astype(np.float16), answer.patient_logit)
            for answer in answers
            if answer.fold == fold
        }
        folder = run.network_folder(fold)
        folder.mkdir(parents=True, exist_ok=True)
        write_probabilities(folder / PROBABILITIES, of_fold, run.identity(split, fold))
    return run
