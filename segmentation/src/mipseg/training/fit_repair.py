"""Learn what `repair/learned.json` holds from the data set: `python -m mipseg.training.fit_repair`.

Odd-numbered cases are left out.

Orientation: a template such that a thumbnail of an upright body fits it better than the thumbnail's three other turns
(a conditional logit). Size: of the logs of a body's lengths, the weighted sum that differs least between people. Each
length doubles when the image does; with weights that sum to 1 the sum follows the size exactly, whatever the weights.
"""

import json
import sys

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from mipseg.io.dataset import iter_cases
from mipseg.repair.coarse import halved
from mipseg.repair.learned import FILE
from mipseg.repair.orientation import SIDE, body_box, thumbnail
from mipseg.repair.scale import log_lengths
from mipseg.repair.window import brightened, log_level
from mipseg.settings import Settings
from mipseg.types import Intensity

TEMPLATE_RIDGE = 0.03  # keeps the template smooth
LENGTH_RIDGE = 1e-3  # variance added to each length


def fit_template(thumbnails: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fit a template of norm 1 to (N, 16, 16) thumbnails of upright bodies and their mirror images."""
    both = np.concatenate([thumbnails, thumbnails[:, :, ::-1]])
    turned = np.stack([np.rot90(both, turns, (1, 2)).reshape(len(both), -1) for turns in range(4)], 1)

    def loss(template: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        scores = turned @ template
        odds = np.exp(scores - scores.max(1, keepdims=True))
        share = odds / odds.sum(1, keepdims=True)
        slope = ((share[:, :, None] * turned).sum(1) - turned[:, 0]).mean(0)
        ridge = TEMPLATE_RIDGE * template
        return float(-np.log(share[:, 0]).mean() + ridge @ template / 2), slope + ridge

    found = minimize(loss, np.zeros(SIDE * SIDE), jac=True, method="L-BFGS-B").x
    return np.asarray((found / np.linalg.norm(found)).reshape(SIDE, SIDE))


def fit_lengths(log_lengths: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Find the weights, of sum 1, whose sum of (N, K) log-lengths has the least variance; and the sum's mean."""
    covariance = np.cov(log_lengths.T) + LENGTH_RIDGE * np.eye(log_lengths.shape[1])
    weights = np.asarray(np.linalg.solve(covariance, np.ones(len(covariance))), np.float64)
    weights /= weights.sum()
    return weights, float(log_lengths.mean(0) @ weights)


def main() -> None:
    """Fit both to the cases with even numbers and write the file."""
    bodies: list[Intensity] = []
    for case in iter_cases(Settings().data_dir):
        if int(case.id[-3:]) % 2 == 0:
            half = halved(case.intensity)
            box = body_box(half)
            if box is not None:
                bodies.append(box.of(half))
    template = fit_template(np.stack([thumbnail(body) for body in bodies]))
    weights, mean = fit_lengths(np.stack([log_lengths(brightened(body, log_level(body))) for body in bodies]))
    content = {
        "template": [[round(value, 4) for value in row] for row in template.tolist()],
        "weights": [round(value, 5) for value in weights.tolist()],
        "mean": round(mean, 5),
    }
    FILE.write_text(json.dumps(content) + "\n")
    sys.stdout.write(f"{len(bodies)} bodies\n")


if __name__ == "__main__":
    main()
