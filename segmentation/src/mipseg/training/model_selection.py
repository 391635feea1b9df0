"""The choices that follow training: every case is judged by models, and by choices, that never saw it.

Decoding and classifier are chosen for each fold on the other four. The shipped choices are made on all five.

One overlap is left: decoding is chosen for a fold on the other four folds' classifier scores, and the classifiers that
gave those were fitted without their own fold but with the judged one. Five weights and a bias carry little of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize

from mipseg.io.dataset import Case
from mipseg.model.classify import Classifier, features
from mipseg.model.postprocess import binarise_if_patient, find_components, max_expected_dice
from mipseg.training.predict import PROBABILITIES, read_probabilities
from mipseg.training.runs import Run
from mipseg.training.scores import Truth, Vector
from mipseg.training.split import FOLDS, Split
from mipseg.types import BinaryMask, Probability

TEMPERATURES = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
PEAKS = (0.3, 0.4, 0.5, 0.6, 0.7)
PATIENTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
# Where to stand between patients who lose their masks and healthy people who get one is a matter of purpose, not of
# measurement: it is not chosen like the rest. Here Dice comes first; reports show what the others would give.
MIN_PATIENT = 0.02
FALSE_LESION_PX = 20  # a false component of this size makes a control count as not clean
# Dice of patients alone is blind to what is marked in healthy people: all controls clean is worth this much mean Dice.
CLEAN_WEIGHT = 0.1


class Decoding(NamedTuple):
    """The parameters of `binarise_if_patient`."""

    temperature: float
    min_peak: float
    min_patient: float


DECODINGS = [Decoding(*option) for option in product(TEMPERATURES, PEAKS, PATIENTS)]


def decodings_with(min_patient: float) -> list[int]:
    """Indices of the decodings that share one of `PATIENTS`."""
    return [number for number, option in enumerate(DECODINGS) if option.min_patient == min_patient]


@dataclass(frozen=True)
class Answer:
    """One case with the answer of the model that never saw it."""

    case: Case
    fold: int
    probability: Probability
    patient_logit: float


class Table(NamedTuple):
    """How N cases fare under every decoding in `DECODINGS`.

    Attributes:
        fold: (N,) of each case.
        has_tumour: (N,) truth.
        dice: (N, D).
        clean: (N, D) bool: no component of `FALSE_LESION_PX` or more; means something for controls only.
    """

    fold: npt.NDArray[np.int64]
    has_tumour: Truth
    dice: Vector
    clean: Truth

    def best(self, rows: Truth, columns: Sequence[int]) -> int:
        """Which of some decodings is best on some cases; the first one if several are."""
        dice = self.dice[rows & self.has_tumour][:, columns].mean(0)
        clean = self.clean[rows & ~self.has_tumour][:, columns].mean(0)
        return columns[int((dice + CLEAN_WEIGHT * clean).argmax())]

    def nested(self, columns: Sequence[int]) -> list[int]:
        """The best of some decodings for each fold, chosen on the other folds."""
        return [self.best(self.fold != fold, columns) for fold in range(FOLDS)]

    def result(self, chosen: Sequence[int]) -> tuple[Vector, float]:
        """(P,) Dice of the patients and the share of clean controls, given the decoding of each fold."""
        rows, columns = np.arange(len(self.fold)), np.array(chosen)[self.fold]
        return self.dice[rows, columns][self.has_tumour], float(self.clean[rows, columns][~self.has_tumour].mean())


def load_answers(run: Run, split: Split) -> list[Answer]:
    """Read the answers of all folds, averaged over the run and its ensemble.

    Raises:
        ModelError: a fold was not trained yet, or what is there belongs to another run.
    """
    answered = []
    for fold in range(split.count):
        members = [
            read_probabilities(member.fold_folder(fold) / PROBABILITIES, member.identity(split, fold))
            for member in run.members
        ]
        for case in split.left_out(fold):
            probability = np.asarray(np.mean([answers[case.id][0] for answers in members], 0, np.float32))
            logit = float(np.mean([answers[case.id][1] for answers in members]))
            answered.append(Answer(case, fold, probability, logit))
    return answered


def fit_classifier(values: Vector, has_tumour: Truth) -> Classifier:
    """Logistic regression with a weak ridge penalty, on standardised features.

    Args:
        values: (N, 5) features.
        has_tumour: (N,) truth.
    """
    mean, scale = values.mean(0), values.std(0) + 1e-6
    z, sign = (values - mean) / scale, np.where(has_tumour, 1.0, -1.0)

    def penalised(parameters: Vector) -> float:
        margin = sign * (z @ parameters[:-1] + parameters[-1])
        return float(np.logaddexp(0, -margin).sum() + 0.5 * (parameters[:-1] ** 2).sum())

    found = optimize.minimize(penalised, np.zeros(values.shape[1] + 1), method="L-BFGS-B").x
    return Classifier(mean.tolist(), scale.tolist(), found[:-1].tolist(), float(found[-1]))


def tabulate(answers: Sequence[Answer], patient: Vector) -> Table:
    """Try every decoding on every case.

    No mask is made: the cut depends on the temperature alone, and a mask's Dice and largest component follow from the
    areas of the components that stay.

    Args:
        answers: N cases.
        patient: (N,) the classifier's probability of being a patient.
    """
    dice = np.empty((len(answers), len(TEMPERATURES), len(PEAKS)))
    largest = np.empty(dice.shape)  # px of the largest component
    for number, answer in enumerate(answers):
        reference = answer.case.mask
        for row, temperature in enumerate(TEMPERATURES):
            tumour = max_expected_dice(answer.probability, temperature)
            labels, peaks = find_components(tumour, answer.probability)
            area = np.bincount(labels[tumour], minlength=len(peaks))
            overlap = np.bincount(labels[tumour & reference], minlength=len(peaks))
            stays = peaks > np.array(PEAKS)[:, None]  # (peaks, components)
            total = reference.sum() + stays @ area
            dice[number, row] = np.where(total > 0, 2 * (stays @ overlap) / np.maximum(total, 1), 1)
            largest[number, row] = (stays * area).max(1)
    has_tumour = np.array([answer.case.has_tumour for answer in answers])
    empty = (patient[:, None] < PATIENTS)[:, None, None]  # (N, 1, 1, min_patients)
    empty_dice = np.array([float(not answer.case.mask.any()) for answer in answers])[:, None, None, None]
    return Table(
        np.array([answer.fold for answer in answers]),
        has_tumour,
        np.where(empty, empty_dice, dice[..., None]).reshape(len(answers), -1),
        (empty | (largest < FALSE_LESION_PX)[..., None]).reshape(len(answers), -1),
    )


@dataclass(frozen=True)
class CrossValidation:
    """What was decided about N cases without having seen them.

    Attributes:
        answers: N answers of networks.
        values: (N, 5) features of the classifier.
        patient: (N,) the classifier's probability of being a patient.
        table: every decoding of every case.
        chosen: index of the decoding of each fold.
    """

    answers: Sequence[Answer]
    values: Vector
    patient: Vector
    table: Table
    chosen: Sequence[int]

    def mask(self, number: int) -> BinaryMask:
        """(H, W) bool: the prediction for one of the answers."""
        answer = self.answers[number]
        decoding = DECODINGS[self.chosen[answer.fold]]
        return binarise_if_patient(answer.probability, float(self.patient[number]), *decoding)


def cross_validate(answers: Sequence[Answer]) -> CrossValidation:
    """Fit the classifiers and choose the decodings, for each fold on the other folds."""
    values = np.array([features(answer.probability, answer.patient_logit) for answer in answers])
    has_tumour = np.array([answer.case.has_tumour for answer in answers])
    fold = np.array([answer.fold for answer in answers])
    classifiers = [fit_classifier(values[fold != f], has_tumour[fold != f]) for f in range(FOLDS)]
    patient = np.array([classifiers[f].probability(value) for f, value in zip(fold, values, strict=True)])
    table = tabulate(answers, patient)
    return CrossValidation(answers, values, patient, table, table.nested(decodings_with(MIN_PATIENT)))
