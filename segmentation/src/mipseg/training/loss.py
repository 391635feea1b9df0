"""The training loss."""

import torch.nn.functional as F
from torch import Tensor

from mipseg.training.network import Output

COARSE_WEIGHT, PATIENT_WEIGHT = 0.3, 0.05


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """1 - Dice of the whole batch taken as one image, with +1 in both parts so that empty batches are defined."""
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + 1) / (probability.sum() + target.sum() + 1)


def _segmentation(logits: Tensor, target: Tensor) -> Tensor:
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target)
    return 2 * cross_entropy + soft_dice(logits.sigmoid(), target)


def training_loss(output: Output, target: Tensor) -> Tensor:
    """Cross-entropy and Dice at full and at an eighth of the resolution, and cross-entropy of patient or control.

    Args:
        output: the network's answer for B images of H x W.
        target: (B, 1, H, W) float, 1 in tumours.

    Returns:
        A scalar.
    """
    coarse_target = F.max_pool2d(target, target.shape[-1] // output.coarse.shape[-1])
    is_patient = (target.amax((1, 2, 3)) > 0).float()
    return (
        _segmentation(output.tumour.float(), target)
        + COARSE_WEIGHT * _segmentation(output.coarse.float(), coarse_target)
        + PATIENT_WEIGHT * F.binary_cross_entropy_with_logits(output.patient.float(), is_patient)
    )
