"""Probabilities from a PyTorch network, through the very graph that is exported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mipseg.dataset import Case
from mipseg.preprocess import body_columns, normalise, pad
from mipseg.training.network import UNet
from mipseg.types import Grey, Probability


class Mirrored(nn.Module):
    """The network's average over an image and its mirror image; this module is what is exported."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, uptake: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 1, H, W) uptake -> (1, 1, H, W) tumour probability and (1,) logit of being a patient."""
        output = self.network(torch.cat([uptake, uptake.flip(3)]))
        both = output.tumour.float().sigmoid()
        return (both[:1] + both[1:].flip(3)) / 2, output.patient.float().mean(0, keepdim=True)


@torch.no_grad()
def predict(network: UNet, image: Grey, device: torch.device) -> tuple[Probability, float]:
    """Predict one image.

    Args:
        network: in evaluation mode.
        image: (H, W) uint8, air = 255.
        device: where the network lives.

    Returns:
        (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
    """
    uptake = normalise(image)
    columns = body_columns(uptake)
    part = uptake[:, columns]
    x = torch.from_numpy(pad(part))[None, None].to(device, memory_format=torch.channels_last)
    tumour, patient = Mirrored(network)(x)
    probability = np.zeros(uptake.shape, np.float32)
    probability[:, columns] = tumour[0, 0, : part.shape[0], : part.shape[1]].cpu().numpy()
    return probability, float(patient)


def predict_cases(network: UNet, cases: Sequence[Case], file: Path, device: torch.device) -> None:
    """Predict cases and keep the answers in one .npz: for each id its (H, W) float16 map and its patient logit."""
    answers: dict[str, Any] = {}
    for case in tqdm(cases, desc=f"predict {file.parent.name}", unit="image"):
        probability, logit = predict(network, case.image, device)
        answers[case.id] = probability.astype(np.float16)
        answers[f"{case.id}/patient"] = np.float32(logit)
    part = file.with_suffix(".part.npz")
    np.savez_compressed(part, **answers)
    part.replace(file)
