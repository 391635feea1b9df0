"""The tools of the starter kit, under one name: `from utils import validate_segmentation, dice_score, …`."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mipseg.checks import validate_segmentation
from mipseg.io import codec
from mipseg.io.codec import encode_request
from mipseg.metrics import dice_score
from mipseg.report.figure import plot_prediction
from mipseg.types import Image

__all__ = [
    "decode_request",
    "dice_score",
    "encode_request",
    "normalize_to_binary",
    "plot_prediction",
    "validate_segmentation",
]


class _Request(Protocol):
    img: str


def decode_request(request: str | _Request) -> Image:
    """Read the image of a request.

    Args:
        request: the base64 text, or the request with that text as its `img`, as earlier starter kits pass it.

    Returns:
        (H, W, 3) uint8, three equal channels.

    Raises:
        InputError: see `mipseg.io.codec.decode_request`.
    """
    return codec.decode_request(request if isinstance(request, str) else request.img)


def normalize_to_binary(image: npt.NDArray[Any], threshold: float = 0.5) -> npt.NDArray[np.float32]:
    """1 where an image, stretched to [0, 1], is above a threshold, else 0; some earlier starter kits read masks so."""
    return np.asarray(image - image.min() > threshold * np.ptp(image), np.float32)
