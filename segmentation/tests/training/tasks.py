"""Trainings of tiny networks, for the tests of the training loop; needs PyTorch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mipseg.io.dataset import Case
from mipseg.training import train as module
from mipseg.training.augment import Batch
from mipseg.training.checkpoint import State
from mipseg.training.config import Config
from mipseg.training.identity import DataHashes, Identity, make_identity
from mipseg.training.train import NetworkTask, Options, train_step

CPU = torch.device("cpu")
OPTIONS = Options(CPU)
EVERY_STEP = Options(CPU, checkpoint_seconds=0)
HASHES = DataHashes("d" * 64, "s" * 64, None)


def identity_of(config: Config) -> Identity:
    """The identity of a network of some data."""
    return make_identity(config, HASHES, None)


def new_task(config: Config, folder: Path, cases: Sequence[Case], unlabelled: Sequence[Case] = ()) -> NetworkTask:
    """A network to train on some cases."""
    return NetworkTask(config, identity_of(config), folder, cases, unlabelled)


def checkpoint(folder: Path) -> dict[str, Any]:
    """The content of a checkpoint."""
    content: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return content


def before_steps(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Let something happen before each step of the training, which gets the step's number."""

    def acted(state: State, batch: Batch, config: Config) -> object:
        act(state.step)
        return train_step(state, batch, config)

    monkeypatch.setattr(module, "train_step", acted)


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let training be interrupted before a step."""

    def interrupt_at(present: int) -> None:
        if present == step:
            raise KeyboardInterrupt

    before_steps(monkeypatch, interrupt_at)
