"""What a model folder holds: `config.json`, the networks that it lists, and maybe an atlas."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mipseg.errors import ModelError
from mipseg.model.classify import Classifier

CONFIG, ATLAS = "config.json", "atlas.npy"


@dataclass(frozen=True)
class NetworkFile:
    """One network of a model; nothing about it follows from its place in the list.

    Attributes:
        file: name of its ONNX file in the model folder.
        sha256: of the file, checked at load.
        run: the training run that made it.
        fold: the fold that the run left out; None: none.
        refit: whether it was trained once more after that, on all cases.
        in_channels: 1, intensity alone; 3, also what is usual at each place, see `mipseg.model.atlas`.
        mirrored: it sees the mirror image.
        fast: it is part of the fast setting.
    """

    file: str
    sha256: str
    run: str
    fold: int | None
    refit: bool
    in_channels: int
    mirrored: bool
    fast: bool


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` in a model folder says.

    Attributes:
        name: the folder's name.
        networks: those that are averaged.
        atlas: SHA-256 of the atlas' file; None if no network wants one.
        temperature, min_peak, min_patient: how the mask is made; see `mipseg.model.postprocess`.
        classifier: whether there is a tumour at all.
    """

    name: str
    networks: tuple[NetworkFile, ...]
    atlas: str | None
    temperature: float
    min_peak: float
    min_patient: float
    classifier: Classifier

    @property
    def sha256(self) -> str:
        """One digest for all files."""
        return hashlib.sha256("".join([*(n.sha256 for n in self.networks), self.atlas or ""]).encode()).hexdigest()


def read_config(folder: Path) -> ModelConfig:
    """Read a model folder's `config.json`.

    Raises:
        ModelError: it is missing or damaged, or names no atlas though a network wants one.
    """
    file = folder / CONFIG
    try:
        content: dict[str, Any] = json.loads(_read(file))
        config = ModelConfig(
            name=str(content["name"]),
            networks=tuple(NetworkFile(**network) for network in content["networks"]),
            atlas=content["atlas"],
            temperature=float(content["temperature"]),
            min_peak=float(content["min_peak"]),
            min_patient=float(content["min_patient"]),
            classifier=Classifier(**content["classifier"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged: {error!r}") from error
    if not config.networks:
        raise ModelError(f"{file} is damaged: it lists no network")
    if config.atlas is None and any(network.in_channels > 1 for network in config.networks):
        raise ModelError(f"a network in {folder} wants an atlas, but {CONFIG} names none")
    return config


def read_checked(file: Path, sha256: str) -> bytes:
    """Read a file of a model folder.

    Raises:
        ModelError: it is missing, or not the file that the configuration names.
    """
    content = _read(file)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{file} is not the file that {CONFIG} names: its SHA-256 differs")
    return content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"can't read {file}: {error.strerror}") from error
