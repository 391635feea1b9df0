"""Many networks at once, each in a process of its own: one small network fills neither a GPU nor many cores."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from joblib import Parallel, delayed, parallel_config

from mipseg.training.fold import train_network
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.training.train import Options, TimeIsUpError


def train_networks(
    networks: Sequence[tuple[Run, int | None]],
    split: Split,
    options: Options,
    jobs: int = 1,
    threads: int | None = None,
) -> None:
    """Train networks, see `train_network`; those that are done are passed over.

    Args:
        networks: each a run, and the fold that it does not see; None: it sees all cases.
        split: the data.
        options: how to train.
        jobs: how many to train at once.
        threads: CPU threads of each of several; None: they share the cores.

    Raises:
        MipsegError: whatever `train_network` raises, of the first network that failed. The others have been ended;
            they go on from their last checkpoints.
        TimeIsUpError: the deadline came before all were done.
    """
    if jobs == 1:
        for run, fold in networks:
            train_network(run, fold, split, options)
        return
    quiet, stopped = replace(options, bar=False), list[str]()
    with parallel_config("loky", inner_max_num_threads=threads):
        workers = Parallel(jobs, return_as="generator_unordered")
        ends = workers(delayed(_train)(run, fold, split, quiet) for run, fold in networks)
        for number, message in enumerate(ends, 1):
            stopped += [message] if message else []
            sys.stdout.write(f"{number} of {len(networks)} networks: {message or 'done'}\n")
            sys.stdout.flush()
    if stopped:
        raise TimeIsUpError("; ".join(stopped))


def _train(run: Run, fold: int | None, split: Split, options: Options) -> str:
    """Returns where the network stopped, if it did: an error would end the others before they write checkpoints."""
    if time.monotonic() >= options.deadline:
        return f"{run.network_folder(fold)} was not begun"
    try:
        train_network(run, fold, split, options)
    except TimeIsUpError as error:
        return str(error)
    return ""
