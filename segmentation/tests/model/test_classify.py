import math

import numpy as np
import pytest

from mipseg.model.classify import Classifier, features


def test_features_worked_out_by_hand() -> None:
    probability = np.zeros((10, 10), np.float32)
    probability[0, :2] = 0.75
    probability[1, 0] = 0.25
    logit, total, above, peak, top = features(probability, -1.5)
    assert logit == -1.5
    assert total == pytest.approx(math.log1p(1.75))
    assert above == pytest.approx(math.log1p(1.5))
    assert peak == pytest.approx(math.log(3))
    assert top == pytest.approx(math.log(0.035 / 0.965))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_features_are_finite_at_the_ends_and_for_one_pixel(value: float) -> None:
    assert np.isfinite(features(np.full((1, 1), value, np.float32), 0.0)).all()


def test_classifier_is_a_logistic_regression() -> None:
    classifier = Classifier([1.0, 0.0], [2.0, 1.0], [3.0, -1.0], 0.5)
    z = 3 * (2 - 1) / 2 - 1 * 4 + 0.5
    assert classifier.probability(np.array([2.0, 4.0])) == pytest.approx(1 / (1 + math.exp(-z)))
    assert classifier.probability(np.array([1e6, 0.0])) == 1
    assert classifier.probability(np.array([-1e6, 0.0])) == 0
