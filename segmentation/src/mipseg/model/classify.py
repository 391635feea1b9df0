"""Patient or healthy: a calibrated score of what the network saw, learned on patients against controls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mipseg.types import Probability


def features(probability: Probability, patient_logit: float) -> npt.NDArray[np.float64]:
    """Numbers that tell patients from controls.

    Args:
        probability: (H, W) tumour probability.
        patient_logit: answer of the network's own patient head.

    Returns:
        (5,): the head's logit; log of the summed probability; the same above 0.5 only; the highest probability as a
        logit; the mean of the 50 highest probabilities as a logit.
    """
    flat = np.asarray(probability, np.float64).ravel()
    top = np.sort(np.partition(flat, -min(50, flat.size))[-50:])
    return np.array(
        [
            patient_logit,
            math.log1p(float(flat.sum())),
            math.log1p(float(flat[flat > 0.5].sum())),
            _logit(float(top[-1])),
            _logit(float(top.mean())),
        ]
    )


def _logit(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))


@dataclass(frozen=True)
class Classifier:
    """Logistic regression on standardised `features`.

    Attributes:
        mean: (5,) subtracted from the features.
        scale: (5,) then divided by.
        weights: (5,) then multiplied by.
        bias: then added.
    """

    mean: Sequence[float]
    scale: Sequence[float]
    weights: Sequence[float]
    bias: float

    def probability(self, values: npt.NDArray[np.float64]) -> float:
        """Probability in [0, 1] that the image shows a tumour, given its `features`."""
        z = (values - np.asarray(self.mean)) / np.asarray(self.scale)
        logit = float(z @ np.asarray(self.weights)) + self.bias
        return 0.5 * (1 + math.tanh(logit / 2))
