"""From intensity to a probability map, around any networks; the same steps for training, evaluation and serving."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.model.atlas import AtlasGrid, atlas_maps
from mipseg.model.preprocess import body_columns, match_window, pad, tiles
from mipseg.types import Intensity, Probability

Channels = npt.NDArray[np.float32]
Answer = tuple[npt.NDArray[np.float32], float]
Run = Callable[[Channels], Answer]


class Network(NamedTuple):
    """A network that is ready to run.

    Attributes:
        in_channels: how many channels of an image it takes: 1, intensity in [0, 1]; or 3, with usual intensity and its
            standard deviation of an atlas.
        mirrored: it sees the mirror image.
        run: maps those channels, (C, h, w) float32 as `preprocess.pad` makes them, to the (h, w) float32 tumour
            probability and the logit of being a patient; all finite.
    """

    in_channels: int
    mirrored: bool
    run: Run


def infer(
    intensity: Intensity, networks: Sequence[Network], atlas: AtlasGrid | None = None, pool: Executor | None = None
) -> tuple[Probability, float]:
    """Average networks on the part of an image that holds the body.

    Averages over networks and over mirroring each help; half of the networks mirrored gets both at the price of one.

    Args:
        intensity: (H, W) in [0, 1], air 0.
        networks: at least one.
        atlas: of the healthy body, see `mipseg.model.atlas`; None if no network wants it.
        pool: runs networks side by side, those without an atlas while the image is registered to it; None: one after
            the other. The answer is the same.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    intensity = match_window(intensity)
    columns = body_columns(intensity)
    part = intensity[None, :, columns]
    waiting: dict[int, Callable[[], Answer]] = {}  # a network's number, and what waits for its answer

    def start(channels: Channels) -> None:
        for number, network in enumerate(networks):
            if network.in_channels == len(channels):
                waiting[number] = _started(network, channels, pool)

    start(part)
    if atlas is not None:
        start(np.concatenate([part, atlas_maps(intensity, atlas, columns)]))
    mean, patient_logit = np.zeros(part.shape[1:], np.float32), 0.0
    for number in range(len(networks)):  # always in this order: sums of floats depend on it
        tumour, logit = waiting[number]()
        mean += tumour / np.float32(len(networks))
        patient_logit += logit / len(networks)
    probability = np.zeros(intensity.shape, np.float32)
    probability[:, columns] = mean
    return probability, patient_logit


def _started(network: Network, channels: Channels, pool: Executor | None) -> Callable[[], Answer]:
    if pool is not None:
        return pool.submit(_run, network, channels).result
    answer = _run(network, channels)
    return lambda: answer


def _run(network: Network, channels: Channels) -> Answer:
    """Run a network on (C, H, W) channels tile by tile; a patient is who looks like one in any tile."""
    tumour, logits = np.empty(channels.shape[1:], np.float32), []
    for tile in tiles(*channels.shape[1:]):
        answer, logit = _run_tile(network, channels[:, *tile.seen])
        tumour[tile.kept] = answer[tile.answer]
        logits.append(logit)
    return tumour, max(logits)


def _run_tile(network: Network, channels: Channels) -> Answer:
    padded = pad(channels)
    if network.mirrored:
        padded = np.ascontiguousarray(padded[:, :, ::-1])
    tumour, logit = network.run(padded)
    if network.mirrored:
        tumour = tumour[:, ::-1]
    return tumour[: channels.shape[1], : channels.shape[2]], logit
