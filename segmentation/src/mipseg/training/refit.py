"""The networks that ship: of every fold and of every averaged run in turn, trained once more on all cases.

Cross-validation needs networks that left cases out; what ships need not. Each network goes on from one that
cross-validation judged, so it starts where the measured number holds, and learns the fifth of the cases that it has
not seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mipseg.io.dataset import Case
from mipseg.training.config import Config, Stage
from mipseg.training.model_selection import member_folders
from mipseg.training.split import FOLDS
from mipseg.training.train import Trainer, load_architecture

SHIPPED = 8  # networks in a model folder
RATE = 0.5  # learning rate of the last pass, as a share of the configuration's: the networks are nearly done


def refit_folders(config: Config, run: Path) -> list[Path]:
    """Where the checkpoints of the networks that ship are: the folds' own if the configuration has no last pass."""
    if not config.refit_images:
        return _sources(config, run)
    return [run / f"final{number}" for number in range(SHIPPED)]


def refit(cases: Sequence[Case], config: Config, run: Path, device: torch.device) -> None:
    """Train the networks that ship; goes on where it stopped.

    Args:
        cases: the whole data set.
        config: the experiment, but each network keeps its own architecture; `refit_images` is the length of the pass at
            full resolution.
        run: folder of the run, every fold of which was trained.
        device: where to train.

    Raises:
        ModelError: a fold was not trained.
    """
    if not config.refit_images:
        return
    stages = (Stage(1, config.refit_images, config.stages[-1].batch),)
    for number, (source, folder) in enumerate(zip(_sources(config, run), refit_folders(config, run), strict=True)):
        # A seed of its own each: the same draws would make the networks alike.
        last = replace(
            config,
            seed=100 * config.seed + number,
            stages=stages,
            learning_rate=RATE * config.learning_rate,
            **load_architecture(source),
        )
        Trainer(cases, last, folder, device, source).run()


def _sources(config: Config, run: Path) -> list[Path]:
    members = member_folders(config, run)
    # There and back again, so that networks of each run see the image, and others of it the mirror image.
    there_and_back = [*range(len(members)), *reversed(range(len(members)))]
    sources = []
    for number in range(SHIPPED):
        turn, member = number // len(members), there_and_back[number % len(there_and_back)]
        sources.append(members[member] / f"fold{(turn + member) % FOLDS}")
    return sources
