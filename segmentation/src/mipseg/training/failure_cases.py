"""Images of a run's worst cases, to see what goes wrong. They show the data set: they stay on your machine."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mipseg.figure import plot_prediction
from mipseg.io.dataset import Case
from mipseg.training.config import Config
from mipseg.training.model_selection import cross_validate, load_answers, member_folders


def draw_failure_cases(cases: Sequence[Case], config: Config, folder: Path, count: int) -> str:
    """Draw the patients of lowest cross-validated Dice into `worst/<rank>_<case id>.png` of the run's folder.

    Images of an earlier call are removed.

    Args:
        cases: the data set.
        config: the experiment.
        folder: of the run, with the answers of all folds.
        count: how many patients.

    Returns:
        A Markdown list of them, worst first.

    Raises:
        DatasetError: a fold was not trained yet.
    """
    validation = cross_validate(load_answers(cases, member_folders(config, folder)))
    dice, _ = validation.table.result(validation.chosen)
    patients = np.flatnonzero(validation.table.has_tumour)
    images = folder / "worst"
    images.mkdir(exist_ok=True)
    for old in images.glob("*.png"):
        old.unlink()
    lines = []
    for rank, place in enumerate(np.argsort(dice, kind="stable")[:count].tolist(), 1):
        number = int(patients[place])
        case, mask = validation.answers[number].case, validation.mask(number)
        plot_prediction(case.image, case.mask, mask, images / f"{rank:02}_{case.id}.png")
        lines.append(
            f"{rank}. {case.id}: Dice {dice[place]:.3f}, reference {case.mask.sum()} px, predicted {mask.sum()} px"
        )
    return "\n".join(lines) + "\n"
