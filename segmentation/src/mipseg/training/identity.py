"""What decided the weights of a network; it is kept wherever the network's results go."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.training.config import Config

PACKAGES = "torch", "numpy", "mipseg"
AFTER_TRAINING = ("ensemble",)  # fields of a configuration that decide nothing about the weights of its network
DECISIVE = "config_hash", "data_hash", "split_hash", "unlabelled_hash", "fold"


@dataclass(frozen=True)
class Identity:
    """What decided the weights of a network, and what they were made with.

    Attributes:
        config: the resolved configuration, without what is used after training only.
        config_hash: SHA-256 of that.
        data_hash: see `hash_cases`.
        split_hash: see `hash_folds`.
        unlabelled_hash: `hash_cases` of the patients without reference; None: the run uses none.
        fold: the fold that was left out; None: the network saw all cases.
        commit: the code's git commit; None outside of a checkout.
        dirty: whether files of that commit were changed; None outside of a checkout.
        versions: of the packages that matter.
    """

    config: Mapping[str, Any]
    config_hash: str
    data_hash: str
    split_hash: str
    unlabelled_hash: str | None
    fold: int | None
    commit: str | None
    dirty: bool | None
    versions: Mapping[str, str]

    def differences(self, expected: "Identity") -> list[str]:
        """What decides weights and differs, as "field is this, not that"; empty if nothing does."""
        names = [name for name in DECISIVE if getattr(self, name) != getattr(expected, name)]
        fields = sorted(self.config.keys() | expected.config.keys()) if "config_hash" in names else []
        pairs = [(f"config.{field}", self.config.get(field), expected.config.get(field)) for field in fields]
        pairs += [(name, getattr(self, name), getattr(expected, name)) for name in names if name != "config_hash"]
        return [f"{name} is {_short(found)}, not {_short(wanted)}" for name, found, wanted in pairs if found != wanted]

    def require(self, expected: "Identity", file: Path) -> None:
        """Check that this identity, found in a file, is the expected one.

        Raises:
            ModelError: it is not; the message names every field that differs.
        """
        if differences := self.differences(expected):
            changes = " with changes" if self.dirty else ""
            code = f"at commit {_short(self.commit)}{changes}" if self.commit else "outside of a checkout"
            made = f"made {code}, " + ", ".join(f"{name} {number}" for name, number in self.versions.items())
            way_out = f"give the experiment another name, or remove {file.parent}"
            raise ModelError(f"{file} belongs to another run ({made}): {'; '.join(differences)}; {way_out}")

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, strings and numbers, for a report or a checkpoint."""
        return asdict(self)


class DataHashes(NamedTuple):
    """What decides the data of a training, see `Identity`."""

    data_hash: str
    split_hash: str
    unlabelled_hash: str | None


def make_identity(config: Config, data: DataHashes, fold: int | None) -> Identity:
    """The identity of a network that is trained with the code and the packages of this process."""
    resolved = {name: value for name, value in asdict(config).items() if name not in AFTER_TRAINING}
    plain = json.loads(json.dumps(resolved))  # tuples become lists, as they do in a file
    return Identity(
        config=plain,
        config_hash=_sha256(plain),
        **data._asdict(),
        fold=fold,
        **code_state(Path(__file__)),
        versions={name: version(name) for name in PACKAGES},
    )


def hash_cases(cases: Sequence[Case]) -> str:
    """SHA-256 of the ids, shapes and pixels of all images and masks, in whatever order they come."""
    digests = []
    for case in cases:
        digest = hashlib.sha256(f"{case.id} {case.image.shape}".encode())
        digest.update(case.image.tobytes())
        digest.update(np.packbits(case.mask).tobytes())
        digests.append(digest.hexdigest())
    return _sha256(sorted(digests))


def hash_folds(folds: Mapping[str, int]) -> str:
    """SHA-256 of which case is in which fold, in whatever order they come."""
    return _sha256(dict(folds))


@cache
def code_state(file: Path) -> dict[str, Any]:
    """The commit of the checkout that tracks a file, and whether the checkout is dirty; both None if none does."""
    git = shutil.which("git")

    def ask(*arguments: str) -> str | None:
        if git is None:
            return None
        command = [git, "-C", str(file.parent), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return answer.stdout.strip() if answer.returncode == 0 else None

    # A package that is installed below somebody's repository is not tracked by it.
    commit = ask("rev-parse", "HEAD") if ask("ls-files", "--error-unmatch", file.name) is not None else None
    dirty = None if commit is None else bool(ask("status", "--porcelain", "--untracked-files=no"))
    return {"commit": commit, "dirty": dirty}


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) and len(value) >= 40 else json.dumps(value)
