"""Endless batches of augmented images, drawn in this process or in workers."""

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mipseg.training.augment import Example, Sampler

MAX_WORKERS = 12  # one H100 is fed by fewer


class Draws(IterableDataset[Example]):
    """An endless stream of a sampler's images; each worker has its own.

    Args:
        sampler: draws the images.
        seed: of the stream, together with the number of the worker.
    """

    def __init__(self, sampler: Sampler, seed: tuple[int, ...]) -> None:
        self._sampler, self._seed = sampler, seed

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()
        rng = np.random.default_rng((*self._seed, 0 if worker is None else worker.id))
        while True:
            yield self._sampler.draw(rng)


def draw_batches(
    sampler: Sampler, size: int, seed: tuple[int, ...], workers: int, device: torch.device
) -> Iterator[Example]:
    """Draw batches without end.

    Args:
        sampler: draws the images. Its `costs` have to be in shared memory if workers are to see changes.
        size: images in a batch.
        seed: the same seed and number of workers give the same batches, as long as `costs` are the same.
        workers: processes that draw ahead; 0: this process draws when it is asked.
        device: where the batches will go; those for a GPU lie in pinned memory.
    """
    # Forked workers share the images of the sampler; a spawned one would need a copy of them.
    context = "fork" if workers else None
    loader = DataLoader(
        Draws(sampler, seed),
        size,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        multiprocessing_context=context,
    )
    return iter(loader)


def choose_workers(device: torch.device, cores: int | None = None) -> int:
    """How many processes should draw: a GPU needs many; a CPU that trains has a core to spare if it has many.

    Args:
        device: where the network is trained.
        cores: usable CPU cores; None: those of this machine.
    """
    cores = len(os.sched_getaffinity(0)) if cores is None else cores
    if device.type == "cuda":
        return min(max(cores - 2, 1), MAX_WORKERS)
    return 1 if cores > 2 else 0
