import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.metrics import FALSE_LESION_PX, NEIGHBOURS, dice_score
from mipseg.model.postprocess import binarise_if_patient
from mipseg.training.config import Config
from mipseg.training.model_selection import (
    CLEAN_WEIGHT,
    Answer,
    CrossValidation,
    Decoding,
    SearchSpace,
    Table,
    cross_validate,
    fit_classifier,
    load_answers,
    tabulate,
)
from mipseg.training.runs import Run
from mipseg.training.split import Split
from tests.training.answers import changed, synthetic_answers, write_answers

SPACE = SearchSpace()
TWO_DECODINGS = (Decoding(0.5, 0.3, 0.0), Decoding(1.0, 0.3, 0.0))


def test_classifier_is_the_one_that_minimises_the_penalised_loss() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 5)) * [3, 2, 3, 5, 5] + [1, 4, 3, 2, 1]
    truth = rng.random(200) < 1 / (1 + np.exp(1 - values[:, 0]))
    classifier = fit_classifier(values, truth)
    z, weights = (values - classifier.mean) / classifier.scale, np.array(classifier.weights)
    np.testing.assert_allclose((z.mean(0), z.std(0)), (np.zeros(5), np.ones(5)), atol=1e-12)
    residual = 1 / (1 + np.exp(-(z @ weights + classifier.bias))) - truth
    # The gradient of sum(log loss) + |weights|^2 / 2 is zero.
    np.testing.assert_allclose(z.T @ residual + weights, 0, atol=1e-2)
    assert residual.sum() == pytest.approx(0, abs=1e-2)


def test_classifier_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 5))
    truth = rng.random(4000) < 1 / (1 + np.exp(-(2 * values[:, 0] - 1)))
    classifier = fit_classifier(values, truth)
    predicted = np.array([classifier.probability(v) for v in values])
    assert predicted.mean() == pytest.approx(truth.mean(), abs=0.01)
    upper = predicted > 0.8
    assert predicted[upper].mean() == pytest.approx(truth[upper].mean(), abs=0.04)


def doubtful_answer(case: Case, seed: int) -> Answer:
    """A map with components of every certainty, in part on the tumour."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=case.mask.shape), 2)
    logit = 4 * noise / noise.std() - 6 + 5 * ndimage.gaussian_filter(case.mask.astype(float), 1)
    return Answer(case, 0, (1 / (1 + np.exp(-logit))).astype(np.float32), 0.0)


def test_table_holds_what_every_decoding_gives(cases: list[Case]) -> None:
    answers = [doubtful_answer(case, seed) for seed, case in enumerate([*cases[:2], cases[-1]])]
    score = np.array([0.02, 0.5, 0.025])  # the first is at a limit
    table = tabulate(answers, score, SPACE)
    for row, answer in enumerate(answers):
        for column, decoding in enumerate(SPACE.decodings):
            mask = binarise_if_patient(answer.probability, score[row], *decoding)
            labels, count = ndimage.label(mask, NEIGHBOURS)
            largest = np.bincount(labels[mask], minlength=count + 1).max()
            assert table.dice[row, column] == dice_score(answer.case.mask, mask), decoding
            assert table.clean[row, column] == (largest < FALSE_LESION_PX), decoding
    assert 10 < len(np.unique(table.dice[1])) < len(SPACE.decodings)
    assert 0 < table.clean[2].mean() < 1
    assert table.has_tumour.tolist() == [True, True, False]


def hand_made_table(dice: Sequence[Sequence[float]], clean: Sequence[Sequence[bool]]) -> Table:
    """Two patients, then two controls; each kind has one in each of two folds."""
    has_tumour = np.array([True, True, False, False])
    return Table(TWO_DECODINGS, np.array([0, 1, 0, 1]), has_tumour, np.array(dice, float), np.array(clean))


@pytest.mark.parametrize(("second", "best"), [(0.71 - CLEAN_WEIGHT, 1), (0.69 - CLEAN_WEIGHT, 0)])
def test_clean_controls_are_worth_some_dice_and_no_more(second: float, best: int) -> None:
    everything = np.ones(4, bool)
    table = hand_made_table([[0.7, second]] * 2 + [[1.0, 0.0]] * 2, [[True, False]] * 2 + [[False, True]] * 2)
    assert table.best(everything, 0.0) == best


def test_only_decodings_of_the_given_min_patient_are_selected() -> None:
    table = hand_made_table([[0.9, 0.1]] * 4, [[True, True]] * 4)
    both = replace(table, decodings=(TWO_DECODINGS[0], Decoding(1.0, 0.3, 0.2)))
    assert [both.best(np.ones(4, bool), min_patient) for min_patient in (0.0, 0.2)] == [0, 1]


def test_first_of_equals_is_selected() -> None:
    assert hand_made_table([[0.5, 0.5]] * 4, [[True, True]] * 4).best(np.ones(4, bool), 0.0) == 0


def test_decoding_of_a_fold_is_selected_on_the_others() -> None:
    # Decoding 0 is right for the patient of fold 0 and for its control, decoding 1 for those of fold 1.
    table = hand_made_table(
        [[0.9, 0.1], [0.2, 0.8], [0, 0], [0, 0]], [[False, False]] * 2 + [[True, False], [False, True]]
    )
    selected = table.nested(0.0)
    assert selected == {0: 1, 1: 0}
    dice, clean = table.result(selected)
    assert dice.tolist() == [0.1, 0.2]
    assert clean == 0


def test_scores_come_from_a_classifier_that_did_not_see_the_fold(split: Split) -> None:
    # The networks' patient head is right in one fold and wrong in the other, and nothing else tells a patient.
    answers = [
        replace(a, patient_logit=a.patient_logit * (1 if a.fold == 0 else -1))
        for a in changed(synthetic_answers(split), lambda _, old: np.zeros_like(old))
    ]
    validation = cross_validate(answers, SPACE)
    assert ((validation.score > 0.5) != validation.table.has_tumour).all()


def test_mask_uses_the_decoding_of_its_fold_and_the_classifier() -> None:
    probability = np.zeros((8, 8), np.float32)
    probability[1:3, 1:3], probability[6, 6] = 0.9, 0.65
    case = Case("patient_0", np.zeros((8, 8), np.uint8), probability > 0)
    answers = [Answer(case, fold, probability, 0.0) for fold in (3, 7, 7)]
    selected = {fold: SPACE.decodings.index(Decoding(0.3, peak, 0.05)) for fold, peak in ((3, 0.5), (7, 0.7))}
    score = np.array([0.05, 0.9, 0.049])
    validation = CrossValidation(answers, np.zeros((3, 5)), score, tabulate(answers, score, SPACE), selected)
    assert [int(validation.mask(number).sum()) for number in range(3)] == [5, 4, 0]


@pytest.mark.parametrize(("pixels", "clean"), [(FALSE_LESION_PX - 1, True), (FALSE_LESION_PX, False)])
def test_false_lesion_counts_from_its_least_size(pixels: int, clean: bool) -> None:
    probability = np.zeros((8, 32), np.float32)
    probability[0, :pixels] = probability[4, :10] = 0.9
    answer = Answer(Case("control_0", np.zeros((8, 32), np.uint8), probability > 1), 0, probability, 0.0)
    assert (tabulate([answer], np.ones(1), SPACE).clean == clean).all()


def test_empty_mask_of_an_empty_reference_is_perfect() -> None:
    empty = np.zeros((8, 8), bool)
    answer = Answer(Case("patient_0", np.zeros((8, 8), np.uint8), empty), 0, np.zeros((8, 8), np.float32), 0.0)
    assert (tabulate([answer], np.zeros(1), SPACE).dice == 1).all()


def test_answers_are_averaged_over_the_ensemble(split: Split, config: Config, tmp_path: Path) -> None:
    answers = synthetic_answers(split)
    other = write_answers(
        [replace(a, patient_logit=2.0) for a in changed(answers, lambda _, old: old / 2)],
        Run(replace(config, seed=5), tmp_path / "other"),
        split,
    )
    run = write_answers(answers, Run(config, tmp_path / "run", ensemble=(other,)), split)
    loaded = {answer.case.id: answer for answer in load_answers(run, split)}
    assert loaded.keys() == {case.id for case in split.cases}
    for answer in answers:
        average = loaded[answer.case.id]
        np.testing.assert_allclose(average.probability, answer.probability * 0.75, rtol=1e-3)
        assert average.patient_logit == (answer.patient_logit + 2) / 2
        assert average.fold == answer.fold


def test_each_view_has_the_same_weight(split: Split, config: Config, tmp_path: Path) -> None:
    answers = synthetic_answers(split)
    plain = replace(config, views=("plain",))
    nothing = changed([replace(answer, patient_logit=3.0) for answer in answers], lambda _, old: old * 0)
    other = write_answers(nothing, Run(replace(plain, seed=5), tmp_path / "other"), split)
    run = write_answers(answers, Run(config, tmp_path / "run", ensemble=(other,)), split)
    for average, answer in zip(load_answers(run, split), sorted(answers, key=lambda a: a.fold), strict=True):
        np.testing.assert_allclose(average.probability, answer.probability * 2 / 3, rtol=1e-3)
        assert average.patient_logit == pytest.approx((2 * answer.patient_logit + 3) / 3)


def test_missing_fold_is_named(split: Split, config: Config, tmp_path: Path) -> None:
    run = write_answers(synthetic_answers(split), Run(config, tmp_path / "run"), split)
    shutil.rmtree(run.network_folder(1))
    with pytest.raises(ModelError, match=r"fold1/.*is missing; train that network first"):
        load_answers(run, split)


def test_answers_of_another_run_are_refused(split: Split, config: Config, tmp_path: Path) -> None:
    run = write_answers(synthetic_answers(split), Run(config, tmp_path / "run"), split)
    with pytest.raises(ModelError, match=r"belongs to another run .*config\.seed is 3, not 4"):
        load_answers(replace(run, config=replace(config, seed=4)), split)
