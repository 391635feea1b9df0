"""Images of a run's worst cases, to see what goes wrong. They show the data set: they stay on your machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mipseg.figure import plot_prediction
from mipseg.io.dataset import Case
from mipseg.training.config import Config
from mipseg.training.evaluate import DEFAULT_SPACE
from mipseg.training.model_selection import cross_validate, load_answers, member_folders

FOLDER = "failure_cases"


def draw_failure_cases(
    cases: Sequence[Case], folds: Mapping[str, int], config: Config, folder: Path, count: int
) -> str:
    """Draw the patients of lowest cross-validated Dice into `failure_cases/<rank>_<case id>.png` of the run's folder.

    Images of an earlier call are removed.

    Args:
        cases: the data set.
        folds: the fold of each case id.
        config: the experiment.
        folder: of the run, with the answers of all folds.
        count: how many patients.

    Returns:
        A Markdown list of them, worst first.

    Raises:
        ModelError: a fold was not trained yet, or what is there belongs to another run.
    """
    validation = cross_validate(load_answers(cases, folds, member_folders(config, folder)), DEFAULT_SPACE)
    dice, _ = validation.table.result(validation.selected)
    images = folder / FOLDER
    images.mkdir(exist_ok=True)
    for earlier in images.glob("*.png"):
        earlier.unlink()
    lines = []
    for rank, place in enumerate(np.argsort(dice, kind="stable")[:count].tolist(), 1):
        number = validation.patients[place]
        case, mask = validation.answers[number].case, validation.mask(number)
        plot_prediction(case.image, case.mask, mask, images / f"{rank:02}_{case.id}.png")
        lines.append(
            f"{rank}. {case.id}: Dice {dice[place]:.3f}, reference {case.mask.sum()} px, prediction {mask.sum()} px"
        )
    return "\n".join(lines) + "\n"
