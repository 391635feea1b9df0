"""The tools of the starter kit, under one name: `from utils import validate_segmentation, dice_score, …`."""

from mipseg.checks import validate_segmentation
from mipseg.figure import plot_prediction
from mipseg.io.codec import decode_request, encode_request
from mipseg.metrics import dice_score

__all__ = ["decode_request", "dice_score", "encode_request", "plot_prediction", "validate_segmentation"]
