"""From a picture to a probability map around any networks; the same steps for training, evaluation and serving."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.atlas import Cells, atlas_maps
from mipseg.preprocess import body_columns, match_window, normalise, pad
from mipseg.types import Grey, Probability

Planes = npt.NDArray[np.float32]
Answer = tuple[npt.NDArray[np.float32], float]


class Network(NamedTuple):
    """A network that is ready to run.

    Attributes:
        planes: how many planes of a picture it takes: 1, uptake in [0, 1]; or 3, with usual uptake and its standard
            deviation of an atlas.
        run: maps those planes, (C, h, w) float32 with sides that are multiples of `preprocess.MULTIPLE`, to the (h, w)
            float32 tumour probability and the logit of being a patient.
    """

    planes: int
    run: Callable[[Planes], Answer]


def infer(
    grey: Grey, networks: Sequence[Network], atlas: Cells | None = None, pool: Executor | None = None
) -> tuple[Probability, float]:
    """Average networks on the part of a picture that holds the body; every second one sees the mirror image.

    Averages over networks and over mirroring each help; taking turns gets both at the price of one.

    Args:
        grey: (H, W) uint8, air = 255.
        networks: at least one.
        atlas: of the healthy body, see `mipseg.atlas`; None if no network wants it.
        pool: runs networks side by side, those without an atlas while the picture is registered to it; None: one after
            the other. The answer is the same.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    uptake = match_window(normalise(grey))
    columns = body_columns(uptake)
    part = uptake[None, :, columns]
    waiting: dict[int, Callable[[], Answer]] = {}  # a network's number, and what waits for its answer

    def start(planes: Planes) -> None:
        padded = pad(planes)
        views = padded, np.ascontiguousarray(padded[:, :, ::-1])
        for number, network in enumerate(networks):
            if network.planes == len(planes):
                waiting[number] = _started(network, views[number % 2], pool)

    start(part)
    if atlas is not None:
        start(np.concatenate([part, atlas_maps(uptake, atlas, columns)]))
    mean, patient_logit = np.zeros(part.shape[1:], np.float32), 0.0
    for number in range(len(networks)):  # always in this order: sums of floats depend on it
        tumour, logit = waiting[number]()
        mean += tumour[:, :: -1 if number % 2 else 1][: part.shape[1], : part.shape[2]] / np.float32(len(networks))
        patient_logit += logit / len(networks)
    probability = np.zeros(uptake.shape, np.float32)
    probability[:, columns] = mean
    return probability, patient_logit


def _started(network: Network, planes: Planes, pool: Executor | None) -> Callable[[], Answer]:
    if pool is not None:
        return pool.submit(network.run, planes).result
    answer = network.run(planes)
    return lambda: answer
