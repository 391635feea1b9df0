"""From a picture to a probability map around any networks; the same steps for training, evaluation and serving."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from mipseg.atlas import Cells, atlas_maps
from mipseg.preprocess import body_columns, match_window, normalise, pad
from mipseg.types import Grey, Probability

# Maps (C, h, w) float32 planes, sides multiples of `preprocess.MULTIPLE`, to the (h, w) float32 tumour probability and
# the logit of being a patient. The planes are uptake in [0, 1] and, with an atlas, usual uptake and its standard
# deviation; a network that wants fewer takes the first ones.
Network = Callable[[npt.NDArray[np.float32]], tuple[npt.NDArray[np.float32], float]]


def infer(
    grey: Grey, networks: Sequence[Network], atlas: Cells | None = None, pool: Executor | None = None
) -> tuple[Probability, float]:
    """Average networks on the part of a picture that holds the body; every second one sees the mirror image.

    Averages over networks and over mirroring each help; taking turns gets both at the price of one.

    Args:
        grey: (H, W) uint8, air = 255.
        networks: at least one.
        atlas: of the healthy body, see `mipseg.atlas`; None if no network wants it.
        pool: runs networks side by side; None: one after the other. The answer is the same.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    uptake = match_window(normalise(grey))
    columns = body_columns(uptake)
    planes = uptake[None] if atlas is None else np.concatenate([uptake[None], atlas_maps(uptake, atlas)])
    part = planes[:, :, columns]
    padded = pad(part)
    views = padded, np.ascontiguousarray(padded[:, :, ::-1])
    run = pool.map if pool else map
    answers = run(lambda number: networks[number](views[number % 2]), range(len(networks)))
    mean, patient_logit = np.zeros_like(padded[0]), 0.0
    for number, (tumour, logit) in enumerate(answers):
        mean += tumour[:, :: -1 if number % 2 else 1] / np.float32(len(networks))
        patient_logit += logit / len(networks)
    probability = np.zeros(uptake.shape, np.float32)
    probability[:, columns] = mean[: part.shape[1], : part.shape[2]]
    return probability, patient_logit
