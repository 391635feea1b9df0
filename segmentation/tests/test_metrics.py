import numpy as np
import pytest

from mipseg.metrics import dice_score


def test_hand_worked_value():
    reference = np.array([[1, 1, 0, 0]])
    prediction = np.array([[0, 1, 1, 1]])
    assert dice_score(reference, prediction) == pytest.approx(2 * 1 / (2 + 3))


@pytest.mark.parametrize(("reference", "prediction", "expected"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0), (1, 1, 1.0)])
def test_empty_and_full(reference, prediction, expected):
    assert dice_score(np.full((3, 4), reference), np.full((3, 4), prediction)) == expected


def test_any_representation_of_truth():
    mask = np.array([[True, False], [True, True]])
    assert dice_score(mask, mask.astype(np.uint8) * 255) == 1
    assert dice_score(np.repeat(mask[:, :, None], 3, 2) * 255, np.repeat(mask[:, :, None], 3, 2)) == 1


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        dice_score(np.zeros((2, 2)), np.zeros((2, 3)))
