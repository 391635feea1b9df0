"""Model selection after training: every case is judged by networks, a classifier and a decoding that never saw it.

Decoding and classifier are selected for each fold on the other folds. Those that ship are selected on all folds.

One overlap is left: the decoding of a fold is selected on the other folds' classifier scores, and the classifiers that
gave those were fitted without their own fold but with the judged one. Five weights and a bias carry little of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mipseg.io.dataset import Case
from mipseg.metrics import is_clean
from mipseg.model.classify import Classifier, features
from mipseg.model.postprocess import binarise_if_patient, find_components, max_expected_dice
from mipseg.training.predict import PROBABILITIES, read_probabilities
from mipseg.training.runs import Run
from mipseg.training.scores import Truth, Vector
from mipseg.training.split import Split
from mipseg.types import BinaryMask, Probability

# Dice of patients alone is blind to what is marked in controls: all controls clean is worth this much mean Dice.
CLEAN_WEIGHT = 0.1


class Decoding(NamedTuple):
    """The parameters of `binarise_if_patient`."""

    temperature: float
    min_peak: float
    min_patient: float


@dataclass(frozen=True)
class SearchSpace:
    """The decodings to select from.

    Where to stand between patients who lose their masks and controls who get one is a matter of purpose, not of
    measurement. So `min_patient` is set, not selected; reports show what the others would give.

    Attributes:
        temperatures, min_peaks, min_patients: what is tried, in all combinations.
        min_patient: the one of `min_patients` that is reported and ships. The default puts Dice first.
    """

    temperatures: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
    min_peaks: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    min_patients: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
    min_patient: float = 0.05

    @property
    def decodings(self) -> list[Decoding]:
        """Every combination."""
        return [Decoding(*option) for option in product(self.temperatures, self.min_peaks, self.min_patients)]


@dataclass(frozen=True)
class Answer:
    """One case with the answer of the networks that never saw it.

    Attributes:
        case: image and reference.
        fold: the fold that it belongs to.
        probability: (H, W) float32 tumour probability.
        patient_logit: answer of the networks' patient head.
    """

    case: Case
    fold: int
    probability: Probability
    patient_logit: float


@dataclass(frozen=True)
class Table:
    """How N cases fare under each of D decodings.

    Attributes:
        decodings: (D,).
        fold: (N,) of each case.
        has_tumour: (N,) truth.
        dice: (N, D).
        clean: (N, D) bool, see `mipseg.metrics.is_clean`; means something for controls only.
    """

    decodings: Sequence[Decoding]
    fold: npt.NDArray[np.int64]
    has_tumour: Truth
    dice: Vector
    clean: Truth

    def best(self, rows: Truth, min_patient: float) -> int:
        """Index of the best decoding of this `min_patient` on some cases; the first one if several are."""
        columns = [number for number, decoding in enumerate(self.decodings) if decoding.min_patient == min_patient]
        dice = self.dice[rows & self.has_tumour][:, columns].mean(0)
        clean = self.clean[rows & ~self.has_tumour][:, columns].mean(0)
        return columns[int((dice + CLEAN_WEIGHT * clean).argmax())]

    def nested(self, min_patient: float) -> dict[int, int]:
        """For each fold the index of the best decoding of this `min_patient`, selected on the other folds."""
        return {fold: self.best(self.fold != fold, min_patient) for fold in sorted(set(self.fold.tolist()))}

    def result(self, selected: Mapping[int, int]) -> tuple[Vector, float]:
        """(P,) Dice of the patients and the share of clean controls, given the decoding of each fold."""
        rows, columns = np.arange(len(self.fold)), np.array([selected[fold] for fold in self.fold.tolist()])
        return self.dice[rows, columns][self.has_tumour], float(self.clean[rows, columns][~self.has_tumour].mean())


def load_answers(run: Run, split: Split) -> list[Answer]:
    """Read the answers of all folds, averaged over a run and those of its ensemble.

    Returns:
        One answer per case, fold by fold.

    Raises:
        ModelError: a fold was not trained yet, or what is there belongs to another run.
    """
    answers, views = [], [len(member.config.views) for member in run.members]  # each is a network of what ships
    for fold in range(split.count):
        members = [
            read_probabilities(member.network_folder(fold) / PROBABILITIES, member.identity(split, fold))
            for member in run.members
        ]
        for case in split.left_out(fold):
            maps, logits = zip(*(member[case.id] for member in members), strict=True)
            probability = np.average(np.array(maps, np.float32), 0, views).astype(np.float32)
            answers.append(Answer(case, fold, probability, float(np.average(logits, weights=views))))
    return answers


def fit_classifier(values: Vector, has_tumour: Truth) -> Classifier:
    """Logistic regression with a weak ridge penalty (C = 1), on standardised features.

    Args:
        values: (N, 5) features.
        has_tumour: (N,) truth, of both kinds.
    """
    scaler = StandardScaler().fit(values)
    # The default tolerance stops at 1e-4 of the gradient, which is visible in the third digit of a weight.
    model = LogisticRegression(C=1.0, tol=1e-8).fit(scaler.transform(values), has_tumour)
    return Classifier(
        scaler.mean_.tolist(), scaler.scale_.tolist(), model.coef_[0].tolist(), float(model.intercept_[0])
    )


def tabulate(answers: Sequence[Answer], score: Vector, space: SearchSpace) -> Table:
    """Try every decoding on every case.

    No mask is made: `max_expected_dice` depends on the temperature alone, and a mask's Dice and whether it is clean
    follow from the areas of the components that stay.

    Args:
        answers: N cases.
        score: (N,) the classifier's probability that the image shows a tumour.
        space: the decodings.
    """
    dice = np.empty((len(answers), len(space.temperatures), len(space.min_peaks)))
    clean = np.empty(dice.shape, bool)
    for number, answer in enumerate(answers):
        reference = answer.case.mask
        for row, temperature in enumerate(space.temperatures):
            tumour = max_expected_dice(answer.probability, temperature)
            labels, peaks = find_components(tumour, answer.probability)
            area = np.bincount(labels[tumour], minlength=len(peaks))
            overlap = np.bincount(labels[tumour & reference], minlength=len(peaks))
            stays = peaks > np.array(space.min_peaks)[:, None]  # (min_peaks, components)
            total = reference.sum() + stays @ area
            dice[number, row] = np.where(total > 0, 2 * (stays @ overlap) / np.maximum(total, 1), 1)
            clean[number, row] = is_clean(stays * area)
    empty = (score[:, None] < space.min_patients)[:, None, None]  # (N, 1, 1, min_patients)
    empty_dice = np.array([float(not answer.case.mask.any()) for answer in answers])[:, None, None, None]
    return Table(
        space.decodings,
        np.array([answer.fold for answer in answers]),
        np.array([answer.case.has_tumour for answer in answers]),
        np.where(empty, empty_dice, dice[..., None]).reshape(len(answers), -1),
        (empty | clean[..., None]).reshape(len(answers), -1),
    )


@dataclass(frozen=True)
class CrossValidation:
    """What was decided about N cases without having seen them.

    Attributes:
        answers: (N,) answers of networks.
        values: (N, 5) features of the classifier.
        score: (N,) the classifier's probability that the image shows a tumour.
        table: every decoding of every case.
        selected: for each fold the index of its decoding in the table.
    """

    answers: Sequence[Answer]
    values: Vector
    score: Vector
    table: Table
    selected: Mapping[int, int]

    @property
    def patients(self) -> list[int]:
        """Which of the answers are patients'."""
        return [number for number, answer in enumerate(self.answers) if answer.case.has_tumour]

    def mask(self, number: int) -> BinaryMask:
        """(H, W) bool: the prediction for one of the answers."""
        answer = self.answers[number]
        decoding = self.table.decodings[self.selected[answer.fold]]
        return binarise_if_patient(answer.probability, float(self.score[number]), *decoding)


def cross_validate(answers: Sequence[Answer], space: SearchSpace) -> CrossValidation:
    """Fit the classifiers and select the decodings, for each fold on the other folds."""
    values = np.array([features(answer.probability, answer.patient_logit) for answer in answers])
    has_tumour = np.array([answer.case.has_tumour for answer in answers])
    fold = np.array([answer.fold for answer in answers])
    classifiers = {f: fit_classifier(values[fold != f], has_tumour[fold != f]) for f in set(fold.tolist())}
    score = np.array([classifiers[f].probability(value) for f, value in zip(fold.tolist(), values, strict=True)])
    table = tabulate(answers, score, space)
    return CrossValidation(answers, values, score, table, table.nested(space.min_patient))
