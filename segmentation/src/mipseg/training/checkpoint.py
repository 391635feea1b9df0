"""What a training run keeps on disk, so that it can go on and its networks can be used."""

import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.optim.swa_utils import AveragedModel

from mipseg.errors import ModelError
from mipseg.training.config import Config, Encoder
from mipseg.training.identity import Identity
from mipseg.training.network import SegmentationNetwork, UNet
from mipseg.training.pretrained import PretrainedUNet

CHECKPOINT = "checkpoint.pt"
ARCHITECTURE = (
    "encoder",
    "smoothing",
    "channels",
    "pixel_unshuffle",
)  # fields of the configuration that make the network


@dataclass
class State:
    """All that changes while a network is trained.

    Attributes:
        network: the network in training.
        average: its exponential moving average, which is evaluated and ships.
        optimizer: with its moments.
        step: how many steps were made.
        labels: what it last said of the patients without reference, (H, W) uint8 each, see `Stock.targets`; none yet.
    """

    network: SegmentationNetwork
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    labels: Sequence[npt.NDArray[np.uint8]] = field(default_factory=list)

    @property
    def ema_network(self) -> SegmentationNetwork:
        """The averaged weights, in evaluation mode."""
        network: SegmentationNetwork = self.average.module  # type: ignore[assignment]
        return network.eval()


def make_network(config: Config) -> SegmentationNetwork:
    """A network with random weights; a pretrained encoder's are those that it learned from photographs."""
    network = build_network(config.encoder, config.channels, config.pixel_unshuffle, config.smoothing)
    if isinstance(network, PretrainedUNet):
        network.load_photographs()
    return network


def build_network(
    encoder: Encoder, channels: Sequence[int], pixel_unshuffle: int, smoothing: float = 0
) -> SegmentationNetwork:
    """A network of the architecture that these fields of a configuration say, see `ARCHITECTURE`."""
    return UNet(channels, pixel_unshuffle) if encoder == "random" else PretrainedUNet(channels, encoder, smoothing)


def save_checkpoint(state: State, folder: Path, identity: Identity) -> None:
    """Write a checkpoint; one that was there is replaced at once, never in part.

    Raises:
        ModelError: it can't be written; the one that was there stays.
    """
    content = {
        "identity": identity.to_json(),
        "step": state.step,
        "network": state.network.state_dict(),
        "ema_network": state.ema_network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "labels": [torch.from_numpy(label) for label in state.labels],
    }
    part = folder / f"{CHECKPOINT}.part"
    try:
        torch.save(content, part)
        os.replace(part, folder / CHECKPOINT)
    except (OSError, RuntimeError) as error:  # PyTorch's own, where the disk is full
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ModelError(f"can't write {folder / CHECKPOINT}; is the disk full? ({_first_line(error)})") from error


def restore_checkpoint(state: State, folder: Path, identity: Identity, device: torch.device) -> None:
    """Go on from a folder's checkpoint.

    Raises:
        ModelError: there is none, it is damaged, or it belongs to another run.
    """
    content = _load(folder, identity, device)
    state.network.load_state_dict(content["network"])
    state.average.module.load_state_dict(content["ema_network"])
    state.average.n_averaged.fill_(content["step"] + 1)  # the start counts as one
    state.optimizer.load_state_dict(content["optimizer"])
    state.labels = [label.cpu().numpy() for label in content["labels"]]
    state.step = content["step"]


def load_ema_network(folder: Path, expected: Identity) -> SegmentationNetwork:
    """The averaged weights of a network, in evaluation mode on the CPU.

    Args:
        folder: holds the checkpoint.
        expected: the identity that the network must have.

    Raises:
        ModelError: there is no checkpoint, or it is damaged, belongs to another run, or was made by an older version.
    """
    content = _load(folder, expected, torch.device("cpu"))
    network = build_network(**{name: content["identity"]["config"][name] for name in ARCHITECTURE})
    network.load_state_dict(content["ema_network"])
    return network.eval()


def _load(folder: Path, expected: Identity, device: torch.device) -> dict[str, Any]:
    file = folder / CHECKPOINT
    if not file.is_file():
        raise ModelError(f"{file} is missing; train that network first")
    try:
        content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{file} is damaged ({_first_line(error)}); remove it and train again") from error
    if "identity" not in content:
        raise ModelError(f"{file} was made by an older version; train it again")
    Identity(**content["identity"]).require(expected, file)
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
