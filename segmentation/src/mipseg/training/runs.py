"""A run: its configuration, its folder, and the runs that it starts from and is averaged with."""

from dataclasses import dataclass, replace
from pathlib import Path

from mipseg.errors import ConfigError
from mipseg.training.config import CONFIGS, Config, load_config
from mipseg.training.identity import Identity, make_identity
from mipseg.training.split import Split


@dataclass(frozen=True)
class Run:
    """One experiment on disk.

    Attributes:
        config: the experiment.
        folder: where its folds, report and refitted networks are.
        init: the run whose networks, of the same fold, this one's start from; None: random weights.
        ensemble: the runs that it is averaged with.
    """

    config: Config
    folder: Path
    init: "Run | None" = None
    ensemble: tuple["Run", ...] = ()

    @property
    def members(self) -> tuple["Run", ...]:
        """This run and those that it is averaged with."""
        return self, *self.ensemble

    def fold_folder(self, fold: int) -> Path:
        """Where the network is that did not see a fold."""
        return self.folder / f"fold{fold}"

    def identity(self, split: Split, fold: int) -> Identity:
        """The identity that the network which did not see a fold must have."""
        init = None if self.init is None else self.init.identity(split, fold)
        return make_identity(self.config, split.data_hash, split.split_hash, fold, init)


def load_run(file: Path, runs: Path) -> Run:
    """Read an experiment and those that it names, which lie beside it or ship with the code.

    Args:
        file: TOML file of the experiment; this file is the one that counts, whatever its name.
        runs: the folder that holds the folders of all runs.

    Raises:
        ConfigError: a file is missing or wrong, or runs start from each other in a circle.
    """
    run = _load(file, runs, ())
    if run.config.name in run.config.ensemble:
        raise ConfigError(f"{file}: {run.config.name} can't be averaged with itself")
    members = tuple(_load(_find(name, file), runs, ()) for name in run.config.ensemble)
    return replace(run, ensemble=members)


def _load(file: Path, runs: Path, above: tuple[str, ...]) -> Run:
    config = load_config(file)
    if config.name in above:
        raise ConfigError(f"{file}: runs start from each other in a circle: {' <- '.join((*above, config.name))}")
    init = None
    if config.init_from:
        init = _load(_find(config.init_from, file), runs, (*above, config.name))
    return Run(config, runs / config.name, init)


def _find(name: str, beside: Path) -> Path:
    for folder in (beside.parent, CONFIGS):
        file = folder / f"{name}.toml"
        if file.is_file():
            if (found := load_config(file).name) != name:
                raise ConfigError(f"{file}: its name is {found}, but {beside} looks for {name} there")
            return file
    raise ConfigError(f"{beside}: there is no {name}.toml in {beside.parent} or in {CONFIGS}")
