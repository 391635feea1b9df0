"""Images of a run's worst cases, to see what goes wrong. They show the data set: they stay on your machine."""

import numpy as np

from mipseg.report.figure import plot_prediction
from mipseg.training.evaluate import DEFAULT_SPACE
from mipseg.training.model_selection import cross_validate, load_answers
from mipseg.training.runs import Run
from mipseg.training.split import Split

FOLDER = "failure_cases"


def draw_failure_cases(run: Run, split: Split, count: int) -> str:
    """Draw the patients of lowest cross-validated Dice into `failure_cases/<rank>_<case id>.png` of the run's folder.

    Images of an earlier call are removed.

    Args:
        run: with the answers of all folds.
        split: the data set.
        count: how many patients.

    Returns:
        A Markdown list of them, worst first.

    Raises:
        ModelError: a fold was not trained yet, or what is there belongs to another run.
    """
    validation = cross_validate(load_answers(run, split), DEFAULT_SPACE)
    dice, _ = validation.table.result(validation.selected)
    images = run.folder / FOLDER
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
