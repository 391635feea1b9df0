"""From probabilities to a mask."""

import numpy as np
from scipy import ndimage

from mipseg.types import Binary, Mask, Probability

FLOOR = 0.01  # pixels below are never tumour
NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong to one component


def decode(probability: Probability, temperature: float, min_peak: float) -> Binary:
    """Take the mask of highest expected Dice, and drop components that are nowhere certain enough.

    If pixel i is tumour with probability q_i, independently, the mask of the k most probable pixels has an expected
    Dice of about 2 (q_1 + ... + q_k) / (k + sum of all q); the best k is a different cut for every image (RankSEG: Dai
    and Li, JMLR 24, 2023). The network's probabilities are too sharp for that and are softened first by a temperature,
    chosen by cross-validation: q = sigmoid(temperature * logit(p)). In an image of small or doubtful lesions this cuts
    lower than in one of large and certain ones.

    Args:
        probability: (H, W) in [0, 1].
        temperature: above 0; 1 leaves the probabilities as they are.
        min_peak: a component stays if its highest probability, before softening, is above this.

    Returns:
        (H, W) bool.
    """
    inside = probability >= FLOOR
    p = np.clip(probability[inside].astype(np.float64), FLOOR, 1 - 1e-4)
    q = np.sort(1 / (1 + ((1 - p) / p) ** temperature))[::-1]
    if q.size == 0:
        return inside
    expected = 2 * np.cumsum(q) / (np.arange(1, q.size + 1) + q.sum())
    count = int(expected.argmax()) + 1
    tumour = probability >= np.partition(probability[inside], -count)[-count]
    labels, number = ndimage.label(tumour, NEIGHBOURS)
    peaks = np.zeros(number + 1)
    np.maximum.at(peaks, labels.ravel(), probability.ravel())
    certain = peaks > min_peak
    certain[0] = False
    return np.asarray(certain[labels], bool)


def to_mask(tumour: Binary) -> Mask:
    """(H, W) bool -> (H, W, 3) uint8 with 255 in tumours."""
    return np.repeat((tumour.astype(np.uint8) * np.uint8(255))[:, :, None], 3, axis=2)
