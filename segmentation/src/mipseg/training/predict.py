"""Probabilities from PyTorch networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from mipseg.io.dataset import Case
from mipseg.model.inference import Answer, Channels, Network, infer
from mipseg.training.network import UNet
from mipseg.types import Intensity, Probability


class Probabilities(nn.Module):
    """The part of the network's answer that is used, as probabilities; this module is what is exported."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, channels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) channels -> (B, 1, H, W) tumour probability and (B,) logit of being a patient."""
        output = self.network(channels)
        return output.tumour.float().sigmoid(), output.patient.float()


def as_network(network: UNet, device: torch.device, *, mirrored: bool = False) -> Network:
    """Wrap a network, which is in evaluation mode and lives on the device, for `infer`."""

    @torch.no_grad()
    def run(channels: Channels) -> Answer:
        x = torch.from_numpy(channels[None]).to(device, memory_format=torch.channels_last)
        tumour, patient = Probabilities(network)(x)
        return tumour[0, 0].cpu().numpy(), float(patient)

    return Network(network.in_channels, mirrored, run)


def predict(networks: Sequence[UNet], intensity: Intensity, device: torch.device) -> tuple[Probability, float]:
    """Predict one image as the average of what each network says of it and of its mirror image.

    Args:
        networks: in evaluation mode.
        intensity: (H, W) in [0, 1], air 0.
        device: where the networks live.

    Returns:
        See `infer`.
    """
    maps, logits = zip(
        *(
            infer(
                intensity,
                [as_network(network, device, mirrored=mirrored) for mirrored in (False, True)],
                network.healthy,
            )
            for network in networks
        ),
        strict=True,
    )
    return np.mean(maps, 0), float(np.mean(logits))


def predict_cases(network: UNet, cases: Sequence[Case], file: Path, device: torch.device) -> None:
    """Predict cases and keep the answers in one .npz: for each id its (H, W) float16 map and its patient logit."""
    answers: dict[str, Any] = {}
    for case in track(cases, f"predict {file.parent.name}"):
        probability, logit = predict([network], case.intensity, device)
        answers[case.id] = probability.astype(np.float16)
        answers[f"{case.id}/patient"] = np.float32(logit)
    part = file.with_suffix(".part.npz")
    np.savez_compressed(part, **answers)
    part.replace(file)
