"""The networks of a run: each is trained without one fold, which it then predicts, or on all cases to ship."""

from mipseg.training.checkpoint import CHECKPOINT
from mipseg.training.predict import PROBABILITIES, check_probabilities, predict_cases, write_probabilities
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.training.train import NetworkTask, Options, train
from mipseg.training.validation import validation_part


def train_network(run: Run, fold: int | None, split: Split, options: Options) -> None:
    """Train a network, and let it predict the fold that it did not see; goes on where it stopped.

    Args:
        run: the experiment.
        fold: the one to leave out; None: none, the network ships and is not validated.
        split: the data.
        options: how to train.

    Raises:
        ConfigError: see `Run.identity`.
        ModelError: what is there belongs to another run.
        TimeIsUpError: the deadline came first.
    """
    identity, folder = run.identity(split, fold), run.network_folder(fold)
    file, left_out = folder / PROBABILITIES, split.left_out(fold)
    if file.is_file():
        check_probabilities(file, identity)
        if (folder / CHECKPOINT).is_file():
            return
    unlabelled = split.unlabelled if run.config.label_steps else ()
    task = NetworkTask(
        run.config,
        identity,
        folder,
        split.training(fold),
        unlabelled,
        validation_part(left_out),
    )
    network = train(task, options)
    if left_out:
        answers = predict_cases(network, run.config.views, left_out, options.device, options.bar)
        write_probabilities(file, answers, identity)
