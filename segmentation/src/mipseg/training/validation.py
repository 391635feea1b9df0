"""How a network does on a fixed part of the cases that it does not see, while it is trained."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mipseg.io.dataset import Case
from mipseg.metrics import dice_score, is_clean, match_lesions
from mipseg.model.inference import infer
from mipseg.training.config import BOTH
from mipseg.training.network import SegmentationNetwork
from mipseg.training.predict import as_networks

CASES_PER_GROUP = 12
THRESHOLD = 0.5  # probability from which a pixel counts as tumour; the decoding is chosen after training


class Score(NamedTuple):
    """What validation found.

    Attributes:
        dice: mean Dice of the patients; NaN without patients.
        clean: share of the controls that are clean, see `mipseg.metrics.is_clean`; NaN without controls.
    """

    dice: float
    clean: float


def validation_part(cases: Sequence[Case], count: int = CASES_PER_GROUP) -> list[Case]:
    """At most `count` patients and as many controls: those whose ids have the lowest SHA-256, so always the same."""
    ordered = sorted(cases, key=lambda case: hashlib.sha256(case.id.encode()).hexdigest())
    patients, controls = ([case for case in ordered if case.has_tumour is kind][:count] for kind in (True, False))
    return patients + controls


def validate(network: SegmentationNetwork, cases: Sequence[Case], device: torch.device) -> Score:
    """Predict cases and score them.

    Args:
        network: in evaluation mode, on the device.
        cases: patients and controls that it did not see.
        device: where to predict.
    """
    dice, clean = [], []
    for case in cases:
        prediction = infer(case.intensity, as_networks(network, BOTH, device))[0] > THRESHOLD
        if case.has_tumour:
            dice.append(dice_score(case.mask, prediction))
        else:
            clean.append(is_clean(match_lesions(case.mask, prediction).prediction_area))
    return Score(float(np.mean(dice)) if dice else np.nan, float(np.mean(clean)) if clean else np.nan)
