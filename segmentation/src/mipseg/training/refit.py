"""The networks that ship: of every fold and of every averaged run in turn, trained once more on all cases.

Cross-validation needs networks that left cases out; what ships need not. Each network goes on from one that
cross-validation judged, so it starts where the measured number holds, and learns the fifth of the cases that it has
not seen.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from mipseg.training.config import Config, Stage
from mipseg.training.identity import Identity, make_identity
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.training.train import Job, Options, Start, train

MAX_SHIPPED = 8  # most networks in a model folder
RATE = 0.5  # learning rate of the last pass, as a share of the configuration's: the networks are nearly done


@dataclass(frozen=True)
class Shipped:
    """One network that ships.

    Attributes:
        run: the run whose cross-validation judged it.
        fold: the fold that its training left out then.
        refit: whether it was trained once more, on all cases.
        folder: holds its checkpoint.
        identity: the one that the checkpoint must have.
    """

    run: Run
    fold: int
    refit: bool
    folder: Path
    identity: Identity


def shipped_networks(run: Run, split: Split) -> list[Shipped]:
    """The networks that ship, in the order of their files; none of them twice.

    Without a last pass (`refit_images` of 0) the folds' own networks ship.
    """
    sources = _sources(run, split)
    if not run.config.refit_images:
        return sources
    return [
        replace(
            source,
            refit=True,
            folder=run.folder / f"refit{number}",
            identity=make_identity(
                _last_pass(run, source.run.config, number), split.data_hash, split.split_hash, None, source.identity
            ),
        )
        for number, source in enumerate(sources)
    ]


def refit(run: Run, split: Split, options: Options) -> None:
    """Train the networks that ship; goes on where it stopped. Nothing is left out, so nothing is validated.

    Args:
        run: every fold of it, and of the runs that it is averaged with, was trained.
        split: the whole data set.
        options: how to train.

    Raises:
        ModelError: a fold was not trained, or belongs to another run.
        TimeIsUpError: the deadline came first.
    """
    for number, (source, last) in enumerate(zip(_sources(run, split), shipped_networks(run, split), strict=True)):
        if last.refit:
            config = _last_pass(run, source.run.config, number)
            start = Start(source.folder, source.identity)
            train(Job(config, last.identity, last.folder, split.cases, start=start), options)


def _last_pass(run: Run, source: Config, number: int) -> Config:
    """The configuration of the last pass: the run's, but each network keeps its own architecture."""
    config = run.config
    return replace(
        config,
        seed=100 * config.seed + number,  # one of its own each: the same draws would make the networks alike
        stages=(Stage(1, config.refit_images, config.stages[-1].batch),),
        learning_rate=RATE * config.learning_rate,
        channels=source.channels,
        pixel_unshuffle=source.pixel_unshuffle,
        atlas=source.atlas,
    )


def _sources(run: Run, split: Split) -> list[Shipped]:
    members = run.members
    # There and back again, so that networks of each run see the image, and others of it the mirror image.
    there_and_back = [*range(len(members)), *reversed(range(len(members)))]
    sources = []
    for number in range(min(MAX_SHIPPED, len(members) * split.count)):
        turn, place = number // len(members), there_and_back[number % len(there_and_back)]
        member, fold = members[place], (turn + place) % split.count
        sources.append(Shipped(member, fold, False, member.fold_folder(fold), member.identity(split, fold)))
    return sources
