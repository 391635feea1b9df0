"""Probabilities from PyTorch networks, and the file that keeps them."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.model.inference import Answer, Network, infer
from mipseg.training.config import View
from mipseg.training.identity import Identity
from mipseg.training.network import SegmentationNetwork
from mipseg.types import Intensity

PROBABILITIES = "probabilities.npz"
IDENTITY, PATIENT = "identity", "/patient"  # of the file: a name, and the end of the names of logits


class Probabilities(nn.Module):
    """The part of the network's answer that is used, as probabilities; this module is what is exported."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, intensity: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) intensity -> (B, 1, H, W) tumour probability and (B,) logit of being a patient."""
        output = self.network(intensity)
        return output.tumour.float().sigmoid(), output.patient.float()


def as_networks(network: SegmentationNetwork, views: Sequence[View], device: torch.device) -> list[Network]:
    """Wrap a network, which is in evaluation mode and lives on the device, for `infer`: once for each view."""

    @torch.no_grad()
    def run(image: Intensity) -> Answer:
        x = torch.from_numpy(image[None, None]).to(device, memory_format=torch.channels_last)
        tumour, patient = Probabilities(network)(x)
        return tumour[0, 0].cpu().numpy(), float(patient)

    return [Network(view == "mirrored", run) for view in views]


def predict_cases(
    network: SegmentationNetwork, views: Sequence[View], cases: Sequence[Case], device: torch.device, bar: bool = True
) -> dict[str, Answer]:
    """Predict cases: for each id its (H, W) float16 map, and the logit of being a patient."""
    answers: dict[str, Answer] = {}
    for case in track(cases, "predict", disable=not bar):
        probability, logit = infer(case.intensity, as_networks(network, views, device))
        answers[case.id] = probability.astype(np.float16), logit
    return answers


def write_probabilities(file: Path, answers: Mapping[str, Answer], identity: Identity) -> None:
    """Keep answers, and the identity of the network that gave them, in one .npz.

    Args:
        file: to write; one that was there is replaced at once, never in part.
        answers: of `predict_cases`.
        identity: of the network.
    """
    arrays: dict[str, Any] = {IDENTITY: np.array(json.dumps(identity.to_json()))}
    for name, (probability, logit) in answers.items():
        arrays |= {name: probability, f"{name}{PATIENT}": np.float32(logit)}
    part = file.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    part.replace(file)


def check_probabilities(file: Path, expected: Identity) -> Identity:
    """Check that answers are there and belong to a network; reads the identity only.

    Returns:
        The identity that is kept with the answers, with commit and versions of the training.

    Raises:
        ModelError: the file is missing or damaged, or belongs to another run, or was made by an older version.
    """
    return Identity(**json.loads(str(_read(file, expected, [IDENTITY])[IDENTITY])))


def read_probabilities(file: Path, expected: Identity) -> dict[str, Answer]:
    """Read answers: for each case id its (H, W) float16 map, and the logit of being a patient.

    Args:
        file: of `write_probabilities`.
        expected: the identity of the network that must have given them.

    Raises:
        ModelError: see `check_probabilities`.
    """
    arrays = _read(file, expected, None)
    names = [name for name in arrays if not name.endswith(PATIENT)]
    return {name: (arrays[name], float(arrays[f"{name}{PATIENT}"])) for name in names}


def _read(file: Path, expected: Identity, names: Sequence[str] | None) -> dict[str, Any]:
    """The arrays of some names, or of all that there are but the identity."""
    if not file.is_file():
        raise ModelError(f"{file} is missing; train that network first")
    try:
        with np.load(file) as arrays:
            if IDENTITY not in arrays:
                raise ModelError(f"{file} was made by an older version; remove it and train again")
            Identity(**json.loads(str(arrays[IDENTITY]))).require(expected, file)
            wanted = [name for name in arrays if name != IDENTITY] if names is None else names
            return {name: arrays[name] for name in wanted}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{file} is damaged ({error}); remove it, and `fold` or `run` predicts anew") from error
