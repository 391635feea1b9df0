import numpy as np
import pytest
from scipy import ndimage

from mipseg.io.dataset import Case
from mipseg.metrics import dice_score
from mipseg.model.postprocess import NEIGHBOURS, binarise_if_patient
from mipseg.training import model_selection
from mipseg.training.model_selection import (
    CLEAN_WEIGHT,
    DECODINGS,
    FALSE_LESION_PX,
    Answer,
    CrossValidation,
    Decoding,
    Table,
    cross_validate,
    fit_classifier,
    load_answers,
    tabulate,
)


def test_classifier_separates_what_is_separable_and_is_calibrated_where_it_is_not():
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


def test_table_holds_what_decoding_would_give(cases):
    answers = [doubtful_answer(case, seed) for seed, case in enumerate([*cases[:2], cases[-1]])]
    patient = np.array([0.015, 0.5, 0.025])
    table = tabulate(answers, patient)
    for row, answer in enumerate(answers):
        for column, decoding in enumerate(DECODINGS):
            mask = binarise_if_patient(answer.probability, patient[row], *decoding)
            labels, count = ndimage.label(mask, NEIGHBOURS)
            largest = max((int((labels == n + 1).sum()) for n in range(count)), default=0)
            assert table.dice[row, column] == dice_score(answer.case.mask, mask), decoding
            assert table.clean[row, column] == (largest < FALSE_LESION_PX), decoding
    assert 10 < len(np.unique(table.dice[1])) < len(DECODINGS)
    assert 0 < table.clean[2].mean() < 1
    assert table.has_tumour.tolist() == [True, True, False]


def hand_made_table(dice, clean, fold=(0, 1, 0, 1)):
    """Two patients, then two controls."""
    return Table(np.array(fold), np.array([True, True, False, False]), np.array(dice), np.array(clean))


@pytest.mark.parametrize(("second", "best"), [(0.71 - CLEAN_WEIGHT, 1), (0.69 - CLEAN_WEIGHT, 0)])
def test_clean_controls_are_worth_some_dice_and_no_more(second, best):
    everything = np.ones(4, bool)
    table = hand_made_table([[0.7, second]] * 2 + [[1.0, 0.0]] * 2, [[True, False]] * 2 + [[False, True]] * 2)
    assert table.best(everything, [0, 1]) == best
    assert table.best(everything, [1]) == 1


def test_first_of_equals_is_chosen():
    assert hand_made_table([[0.5, 0.5]] * 4, [[True, True]] * 4).best(np.ones(4, bool), [0, 1]) == 0


def test_nested_choice_sees_the_other_folds_only(monkeypatch):
    monkeypatch.setattr(model_selection, "FOLDS", 2)
    # Decoding 0 is right for the patient of fold 0 and for its control, decoding 1 for those of fold 1.
    table = hand_made_table(
        [[0.9, 0.1], [0.2, 0.8], [0, 0], [0, 0]], [[False, False]] * 2 + [[True, False], [False, True]]
    )
    chosen = table.nested([0, 1])
    assert chosen == [1, 0]
    dice, clean = table.result(chosen)
    assert dice.tolist() == [0.1, 0.2]
    assert clean == 0


def test_scores_come_from_a_classifier_that_did_not_see_the_fold(answered, cases):
    # The network's patient head is right in one fold and wrong in the other, and nothing else tells a patient.
    answers = [
        Answer(a.case, a.fold, np.zeros_like(a.probability), a.patient_logit * (1 if a.fold == 0 else -1))
        for a in load_answers(cases, [answered])
    ]
    validation = cross_validate(answers)
    assert ((validation.patient > 0.5) != validation.table.has_tumour).all()


def test_mask_uses_the_choice_of_its_fold_and_the_classifier(cases):
    probability = np.zeros((8, 8), np.float32)
    probability[1:3, 1:3], probability[6, 6] = 0.9, 0.65
    answers = [Answer(cases[0], fold, probability, 0.0) for fold in (0, 1, 1)]
    chosen = [DECODINGS.index(Decoding(0.3, peak, 0.05)) for peak in (0.5, 0.7)]
    patient = np.array([0.05, 0.9, 0.049])
    table = hand_made_table([[0]] * 4, [[True]] * 4)  # plays no part
    validation = CrossValidation(answers, np.zeros((3, 5)), patient, table, chosen)
    assert [int(validation.mask(number).sum()) for number in range(3)] == [5, 4, 0]


@pytest.mark.parametrize(("pixels", "clean"), [(FALSE_LESION_PX - 1, True), (FALSE_LESION_PX, False)])
def test_false_lesion_counts_from_its_least_size(pixels, clean):
    probability = np.zeros((8, 32), np.float32)
    probability[0, :pixels] = probability[4, :10] = 0.9
    answer = Answer(Case("control_0", np.zeros((8, 32), np.uint8), probability > 1), 0, probability, 0.0)
    assert (tabulate([answer], np.ones(1)).clean == clean).all()


def test_empty_mask_of_an_empty_reference_is_perfect():
    empty = np.zeros((8, 8), bool)
    answer = Answer(Case("patient_0", np.zeros((8, 8), np.uint8), empty), 0, np.zeros((8, 8), np.float32), 0.0)
    assert (tabulate([answer], np.zeros(1)).dice == 1).all()
