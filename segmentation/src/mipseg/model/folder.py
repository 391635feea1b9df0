"""What a model folder holds: `config.json` and the networks that it lists."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mipseg.errors import ModelError
from mipseg.model.classify import Classifier

CONFIG = "config.json"


@dataclass(frozen=True)
class NetworkFile:
    """One network of a model; nothing about it follows from its place in the list.

    Attributes:
        file: name of its ONNX file in the model folder.
        sha256: of the file, checked at load.
        run: the training run that made it.
        mirrored: it sees the mirror image.
    """

    file: str
    sha256: str
    run: str
    mirrored: bool


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` in a model folder says.

    Attributes:
        name: the folder's name.
        networks: those that are averaged.
        temperature, min_peak, min_patient: how the mask is made; see `mipseg.model.postprocess`.
        classifier: whether there is a tumour at all.
    """

    name: str
    networks: tuple[NetworkFile, ...]
    temperature: float
    min_peak: float
    min_patient: float
    classifier: Classifier

    @property
    def sha256(self) -> str:
        """One digest for all that decides an answer: the networks by their own digests, and how masks are made."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def read_config(folder: Path) -> ModelConfig:
    """Read a model folder's `config.json`.

    Raises:
        ModelError: it is missing or damaged.
    """
    file = folder / CONFIG
    try:
        content: dict[str, Any] = json.loads(_read(file))
        config = ModelConfig(
            name=str(content["name"]),
            networks=tuple(NetworkFile(**network) for network in content["networks"]),
            temperature=float(content["temperature"]),
            min_peak=float(content["min_peak"]),
            min_patient=float(content["min_patient"]),
            classifier=Classifier(**content["classifier"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged: {error!r}") from error
    if not config.networks:
        raise ModelError(f"{file} is damaged: it lists no network")
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
