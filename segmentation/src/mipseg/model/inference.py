"""From intensity to a probability map, around any networks; the same steps for training, evaluation and serving."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.model.preprocess import body_columns, match_window, pad, tiles
from mipseg.model.texture import sharpened, with_grain
from mipseg.types import Intensity, Probability

Answer = tuple[npt.NDArray[np.float32], float]
Run = Callable[[Intensity], Answer]


class Network(NamedTuple):
    """A network that is ready to run.

    Attributes:
        mirrored: it sees the mirror image.
        run: maps (h, w) float32 intensity, as `preprocess.pad` makes it, to the (h, w) float32 tumour probability and
            the logit of being a patient; all finite.
    """

    mirrored: bool
    run: Run


def infer(intensity: Intensity, networks: Sequence[Network], pool: Executor | None = None) -> tuple[Probability, float]:
    """Average networks on the part of an image that holds the body.

    Averages over networks and over mirroring each help; half of the networks mirrored gets both at the price of one.

    Args:
        intensity: (H, W) in [0, 1], air 0.
        networks: at least one.
        pool: runs networks side by side; None: one after the other. The answer is the same.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    intensity = with_grain(sharpened(match_window(intensity)))
    columns = body_columns(intensity)
    part = intensity[:, columns]
    answers = (map if pool is None else pool.map)(_run, networks, repeat(part))
    maps, logits = zip(*answers, strict=True)
    probability = np.zeros(intensity.shape, np.float32)
    probability[:, columns] = np.mean(maps, 0)
    return probability, float(np.mean(logits))


def _run(network: Network, intensity: Intensity) -> Answer:
    """Run a network tile by tile; a patient is who looks like one in any tile."""
    tumour, logits = np.empty(intensity.shape, np.float32), []
    for tile in tiles(*intensity.shape):
        answer, logit = _run_tile(network, intensity[tile.seen])
        tumour[tile.kept] = answer[tile.answer]
        logits.append(logit)
    return tumour, max(logits)


def _run_tile(network: Network, intensity: Intensity) -> Answer:
    padded = pad(intensity)
    if network.mirrored:
        padded = np.ascontiguousarray(padded[:, ::-1])
    tumour, logit = network.run(padded)
    if network.mirrored:
        tumour = tumour[:, ::-1]
    return tumour[: intensity.shape[0], : intensity.shape[1]], logit
