"""Numbers learned from the data set; `python -m mipseg.training.fit_repair` writes them."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).with_name("learned.json")


class Learned(NamedTuple):
    """What judges a body.

    Attributes:
        template: (16, 16), high where a thumbnail of an upright body is hot and one of a turned body is not.
        weights: of the logs of a body's lengths; their sum is 1.
        mean: the usual weighted sum of them.
    """

    template: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    mean: float


@cache
def learned() -> Learned:
    """Read the numbers, once."""
    content = json.loads(FILE.read_text())
    return Learned(np.array(content["template"]), np.array(content["weights"]), float(content["mean"]))
