"""A run on disk: where its networks are, and who they must be."""

from dataclasses import dataclass
from pathlib import Path

from mipseg.errors import ConfigError
from mipseg.training.config import Config
from mipseg.training.identity import Identity, make_identity
from mipseg.training.split import Split


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        config: the experiment.
        folder: where its networks and its report are.
    """

    config: Config
    folder: Path

    @property
    def members(self) -> range:
        """The numbers of the networks that are averaged."""
        return range(self.config.members)

    def network_folder(self, fold: int | None, member: int) -> Path:
        """Where a network is: one that did not see a fold, or, for None, one that saw all cases and ships."""
        return self.folder / ("all" if fold is None else f"fold{fold}") / f"member{member}"

    def identity(self, split: Split, fold: int | None, member: int) -> Identity:
        """The identity that a network must have.

        Raises:
            ConfigError: the run wants patients without reference, and there are none.
        """
        hashes = split.hashes
        if not self.config.label_steps:
            hashes = hashes._replace(unlabelled_hash=None)
        elif hashes.unlabelled_hash is None:
            raise ConfigError(
                f"{self.config.name} trains on patients without reference too: MIPSEG_UNLABELLED_DIR has to name a "
                "folder of their images; unlabelled_fraction = 0 does without"
            )
        return make_identity(self.config, hashes, fold, member)
