from typing import Any

import numpy as np
import pytest

from mipseg.metrics import calibration_bins, dice_score, match_lesions


def test_hand_worked_value() -> None:
    reference = np.array([[1, 1, 0, 0]])
    prediction = np.array([[0, 1, 1, 1]])
    assert dice_score(reference, prediction) == pytest.approx(2 * 1 / (2 + 3))


@pytest.mark.hazard("H11")
@pytest.mark.parametrize(("reference", "prediction", "expected"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0), (1, 1, 1.0)])
def test_empty_and_full(reference: Any, prediction: Any, expected: float) -> None:
    assert dice_score(np.full((3, 4), reference), np.full((3, 4), prediction)) == expected


def test_any_representation_of_truth() -> None:
    mask = np.array([[True, False], [True, True]])
    assert dice_score(mask, mask.astype(np.uint8) * 255) == 1
    assert dice_score(np.repeat(mask[:, :, None], 3, 2) * 255, np.repeat(mask[:, :, None], 3, 2)) == 1


def test_of_a_volume_with_four_columns_none_is_taken_for_alpha() -> None:
    reference, prediction = np.zeros((2, 2, 2, 4), bool)
    reference[0, 0, 0] = True
    prediction[0, 0, [0, 3]] = True
    assert dice_score(reference, prediction) == pytest.approx(2 / 3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        dice_score(np.zeros((2, 2)), np.zeros((2, 3)))


def test_match_lesions_of_a_image_worked_out_by_hand() -> None:
    reference, prediction = np.zeros((2, 12, 12), bool)
    reference[0:2, 0:2] = True  # 4 px, found with IoU 2 / 4
    prediction[0:1, 0:2] = True
    reference[5, 0:10] = True  # 10 px, touched in one pixel only: IoU 1 / 18
    prediction[4:7, 9:12] = True
    reference[10, 10] = True  # missed
    prediction[10, 0] = True  # false
    match = match_lesions(reference, prediction)
    assert match.reference_area.tolist() == [4, 10, 1]
    assert match.found.tolist() == [True, True, False]
    assert match.prediction_area.tolist() == [2, 9, 1]
    assert match.true.tolist() == [True, True, False]
    strict = match_lesions(reference, prediction, min_iou=0.1)
    assert strict.found.tolist() == [True, False, False]
    assert strict.true.tolist() == [True, False, False]


def test_match_lesions_of_empty_masks() -> None:
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert match_lesions(empty, empty).found.size == 0
    assert match_lesions(empty, full).true.tolist() == [False]
    assert match_lesions(full, empty).found.tolist() == [False]


def test_calibration_curve_counts_every_case_in_its_bin() -> None:
    # Eight bins: up to 0.125, which it holds, up to 0.25, ..., up to 1.
    score = np.array([0.0, 0.1, 0.125, 0.2, 0.9, 1.0])
    truth = np.array([False, True, False, False, True, False])
    first, second, last = calibration_bins(score, truth)
    assert first == pytest.approx((0.075, 1 / 3, 3))
    assert second == pytest.approx((0.2, 0.0, 1))
    assert last == pytest.approx((0.95, 0.5, 2))
