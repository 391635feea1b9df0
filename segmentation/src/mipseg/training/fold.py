"""One fold of a run: train without it, then predict it."""

from mipseg.training.predict import PROBABILITIES, check_probabilities, predict_cases, write_probabilities
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.training.train import Job, Options, Start, train
from mipseg.training.validation import validation_part


def train_fold(run: Run, fold: int, split: Split, options: Options) -> None:
    """Train without one fold, after the run that it starts from, and predict that fold; goes on where it stopped.

    Raises:
        ModelError: what is there belongs to another run.
        TimeIsUpError: the deadline came first.
    """
    identity, folder = run.identity(split, fold), run.fold_folder(fold)
    file = folder / PROBABILITIES
    if file.is_file():
        check_probabilities(file, identity)
        return
    start = None
    if run.init is not None:
        train_fold(run.init, fold, split, options)
        start = Start(run.init.fold_folder(fold), run.init.identity(split, fold))
    left_out = split.left_out(fold)
    job = Job(run.config, identity, folder, split.training(fold), validation_part(left_out), start)
    write_probabilities(file, predict_cases(train(job, options), left_out, options.device), identity)
