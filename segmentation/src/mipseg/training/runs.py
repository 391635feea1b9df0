"""A run: its configuration, its folder, and the runs that it is averaged with."""

from dataclasses import dataclass
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
        folder: where its networks and its report are.
        ensemble: the runs that it is averaged with.
    """

    config: Config
    folder: Path
    ensemble: tuple["Run", ...] = ()

    @property
    def members(self) -> tuple["Run", ...]:
        """This run and those that it is averaged with."""
        return self, *self.ensemble

    def network_folder(self, fold: int | None) -> Path:
        """Where the network is that did not see a fold; None: the one that saw all cases, and ships."""
        return self.folder / ("all" if fold is None else f"fold{fold}")

    def identity(self, split: Split, fold: int | None) -> Identity:
        """The identity that this network must have."""
        hashes = split.hashes
        if not self.config.label_steps:
            hashes = hashes._replace(unlabelled_hash=None)
        return make_identity(self.config, hashes, fold)


def load_run(file: Path, runs: Path) -> Run:
    """Read an experiment and those that it names, which lie beside it or ship with the code.

    Args:
        file: TOML file of the experiment; this file is the one that counts, whatever its name.
        runs: the folder that holds the folders of all runs.

    Raises:
        ConfigError: a file is missing or wrong, it has the name of an experiment that ships but is another one, or it
            is averaged with itself, twice with another, or with one that is an average itself.
    """
    config = load_config(file)
    shipped = CONFIGS / f"{config.name}.toml"
    if shipped.is_file() and config != load_config(shipped):
        raise ConfigError(f"{file}: {config.name} ships with the code; give your own experiment another name")
    if config.name in config.ensemble:
        raise ConfigError(f"{file}: {config.name} can't be averaged with itself")
    if len(set(config.ensemble)) < len(config.ensemble):
        raise ConfigError(f"{file}: ensemble names a run twice")
    others = [load_config(_find(name, file)) for name in config.ensemble]
    for other in others:
        if missing := set(other.ensemble) - {*config.ensemble, config.name}:
            names = ", ".join(sorted(missing))
            raise ConfigError(f"{file}: {other.name} is itself averaged with {names}; name {names} as well")
    return Run(config, runs / config.name, tuple(Run(other, runs / other.name) for other in others))


def _find(name: str, beside: Path) -> Path:
    for folder in (beside.parent, CONFIGS):
        file = folder / f"{name}.toml"
        if file.is_file():
            if (found := load_config(file).name) != name:
                raise ConfigError(f"{file}: its name is {found}, but {beside} looks for {name} there")
            return file
    raise ConfigError(f"{beside}: there is no {name}.toml in {beside.parent} or in {CONFIGS}")
