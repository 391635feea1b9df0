"""From a picture to a probability map around any networks; the same steps for training, evaluation and serving."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from mipseg.preprocess import body_columns, match_window, normalise, pad
from mipseg.types import Grey, Probability

# Maps (h, w) float32 uptake in [0, 1], sides multiples of `preprocess.MULTIPLE`, to the (h, w) float32 tumour
# probability and the logit of being a patient.
Network = Callable[[npt.NDArray[np.float32]], tuple[npt.NDArray[np.float32], float]]


def infer(grey: Grey, networks: Sequence[Network], pool: Executor | None = None) -> tuple[Probability, float]:
    """Average networks on the part of a picture that holds the body; every second one sees the mirror image.

    Averages over networks and over mirroring each help; taking turns gets both at the price of one.

    Args:
        grey: (H, W) uint8, air = 255.
        networks: at least one.
        pool: runs networks side by side; None: one after the other. The answer is the same.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    uptake = match_window(normalise(grey))
    columns = body_columns(uptake)
    part = uptake[:, columns]
    padded = pad(part)
    views = padded, np.ascontiguousarray(padded[:, ::-1])
    run = pool.map if pool else map
    answers = run(lambda number: networks[number](views[number % 2]), range(len(networks)))
    mean, patient_logit = np.zeros_like(padded), 0.0
    for number, (tumour, logit) in enumerate(answers):
        mean += tumour[:, :: -1 if number % 2 else 1] / np.float32(len(networks))
        patient_logit += logit / len(networks)
    probability = np.zeros(uptake.shape, np.float32)
    probability[:, columns] = mean[: part.shape[0], : part.shape[1]]
    return probability, patient_logit
