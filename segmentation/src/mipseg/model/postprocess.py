"""From probabilities to a mask."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.metrics import NEIGHBOURS
from mipseg.types import BinaryMask, Mask, Probability

FLOOR = 0.01  # pixels below are never tumour


def max_expected_dice(probability: Probability, temperature: float) -> BinaryMask:
    """Take the mask of highest expected Dice.

    If pixel i is tumour with probability q_i, independently, the mask of the k most probable pixels has an expected
    Dice of about 2 (q_1 + ... + q_k) / (k + sum of all q); the best k is a different cut for every image (RankSEG: Dai
    and Li, JMLR 24, 2023). The network's probabilities are too sharp for that and are softened first by a temperature,
    chosen by cross-validation: q = sigmoid(temperature * logit(p)). In an image of small or doubtful lesions this cuts
    lower than in one of large and certain ones.

    Args:
        probability: (H, W) in [0, 1].
        temperature: above 0; 1 leaves the probabilities as they are.

    Returns:
        (H, W) bool.
    """
    inside = probability >= FLOOR
    ordered = np.sort(probability[inside])[::-1]
    if ordered.size == 0:
        return inside
    p = np.clip(ordered.astype(np.float64), FLOOR, 1 - 1e-4)
    q = 1 / (1 + ((1 - p) / p) ** temperature)
    expected = 2 * np.cumsum(q) / (np.arange(1, q.size + 1) + q.sum())
    return np.asarray(probability >= ordered[expected.argmax()])


def find_components(
    tumour: BinaryMask, probability: Probability
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Find the components (8-connected) of a mask and how certain each is.

    Args:
        tumour: (H, W) bool.
        probability: (H, W) in [0, 1].

    Returns:
        (H, W) labels, 1 to N, 0 outside of the mask; and (N + 1,) the highest probability of each label's pixels, -inf
        for label 0.
    """
    labels, number = ndimage.label(tumour, NEIGHBOURS)
    peaks = np.full(number + 1, -np.inf)
    np.maximum.at(peaks, labels[tumour], probability[tumour])
    return labels, peaks


def binarise(probability: Probability, temperature: float, min_peak: float) -> BinaryMask:
    """Take the mask of highest expected Dice, and drop components that are nowhere certain enough.

    Args:
        probability: (H, W) in [0, 1].
        temperature: see `max_expected_dice`.
        min_peak: a component stays if its highest probability, before softening, is above this.

    Returns:
        (H, W) bool.
    """
    labels, peaks = find_components(max_expected_dice(probability, temperature), probability)
    return np.asarray((peaks > min_peak)[labels], bool)


def binarise_if_patient(
    probability: Probability, patient: float, temperature: float, min_peak: float, min_patient: float
) -> BinaryMask:
    """Decode, but leave the mask of a person empty who is surely healthy.

    Args:
        probability: (H, W) in [0, 1].
        patient: the classifier's probability that the person is a patient.
        temperature: see `max_expected_dice`.
        min_peak: see `binarise`.
        min_patient: least probability of a patient that gets a mask; 0 gives everybody one.

    Returns:
        (H, W) bool.
    """
    if patient < min_patient:
        return np.zeros(probability.shape, bool)
    return binarise(probability, temperature, min_peak)


def to_mask(tumour: BinaryMask) -> Mask:
    """(H, W) bool -> (H, W, 3) uint8 with 255 in tumours."""
    return np.repeat((tumour.astype(np.uint8) * np.uint8(255))[:, :, None], 3, axis=2)
