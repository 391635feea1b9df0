"""The training loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mipseg.training.network import Output

COARSE_WEIGHT, PATIENT_WEIGHT = 0.3, 0.05
HEALTHY_SHARE = 3.5e-3  # false tumour that costs a healthy image half, as a share of its pixels; 500 px in 448 x 320


def soft_dice(probability: Tensor, target: Tensor, image_share: float) -> Tensor:
    """1 - Dice, partly of the whole batch as one image and partly the mean over its images.

    The batch's Dice is steady but belongs to the largest tumours; the images' mean is what is reported in the end, and
    counts a patient with one small lesion as much as any other. An image without tumours has no Dice; it costs
    s / (s + a), where s is the sum of its probabilities and a is `HEALTHY_SHARE` of its pixels. +1 in both parts of a
    Dice defines it for empty batches.

    Args:
        probability: (B, 1, H, W) in [0, 1].
        target: (B, 1, H, W) in [0, 1], 1 in tumours.
        image_share: weight of the images' mean in [0, 1]; the batch's Dice has the rest.

    Returns:
        A scalar in [0, 1].
    """
    batch = 1 - (2 * (probability * target).sum() + 1) / ((probability + target).sum() + 1)
    return (1 - image_share) * batch + image_share * image_costs(probability, target).mean()


def image_costs(probability: Tensor, target: Tensor) -> Tensor:
    """1 - Dice of each image; of one without tumours, see `soft_dice`.

    Args:
        probability: (B, 1, H, W) in [0, 1].
        target: (B, 1, H, W) in [0, 1], 1 in tumours.

    Returns:
        (B,) in [0, 1].
    """
    overlap, total = (probability * target).sum((1, 2, 3)), (probability + target).sum((1, 2, 3))
    allowed = HEALTHY_SHARE * target[0].numel()
    return torch.where(has_tumour(target), 1 - (2 * overlap + 1) / (total + 1), total / (total + allowed))


def has_tumour(target: Tensor) -> Tensor:
    """(B,) bool: whether any of an image's pixels, (B, 1, H, W), is more likely tumour than not."""
    return target.amax((1, 2, 3)) > 0.5


def training_loss(output: Output, target: Tensor, cross_entropy: float, image_dice: float) -> Tensor:
    """Cross-entropy and Dice at full and at an eighth of the resolution, and cross-entropy of patient or control.

    Args:
        output: the network's answer for B images of H x W.
        target: (B, 1, H, W) float in [0, 1], the probability of tumour.
        cross_entropy: weight of the pixels' mean cross-entropy.
        image_dice: see `soft_dice`.

    Returns:
        A scalar.
    """

    def segmentation(logits: Tensor, reference: Tensor) -> Tensor:
        dice = soft_dice(logits.sigmoid(), reference, image_dice)
        return cross_entropy * F.binary_cross_entropy_with_logits(logits, reference) + dice

    coarse_target = F.max_pool2d(target, target.shape[-1] // output.coarse.shape[-1])
    full = segmentation(output.tumour.float(), target)
    coarse = segmentation(output.coarse.float(), coarse_target)
    patient = F.binary_cross_entropy_with_logits(output.patient.float(), has_tumour(target).float())
    return full + COARSE_WEIGHT * coarse + PATIENT_WEIGHT * patient
