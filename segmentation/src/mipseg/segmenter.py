"""The one seam: a picture in, a mask out. Command line, library and HTTP all come through here."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mipseg.checks import input_warnings
from mipseg.classify import Classifier, features
from mipseg.errors import ModelError
from mipseg.lesions import Lesion, measure_lesions
from mipseg.postprocess import decode, to_mask
from mipseg.preprocess import body_columns, normalise, pad
from mipseg.settings import Settings
from mipseg.types import Grey, Image, Mask, Probability

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` in a model folder says.

    Attributes:
        name: the folder's name.
        sha256: of `model.onnx`, checked at load.
        temperature: of the probabilities when the mask is decoded; see `decode`.
        min_peak: probability that a component must reach somewhere.
        classifier: patient or healthy.
    """

    name: str
    sha256: str
    temperature: float
    min_peak: float
    classifier: Classifier


@dataclass(frozen=True)
class Analysis:
    """Everything the model says about a picture.

    Attributes:
        mask: (H, W, 3) uint8, 0 or 255.
        probability: probability that the picture shows a tumour, calibrated by cross-validation.
        lesions: the mask's components, largest first.
        warnings: reasons to doubt that the picture is a MIP-PET; see `input_warnings`.
    """

    mask: Mask
    probability: float
    lesions: list[Lesion]
    warnings: list[str]

    @property
    def label(self) -> str:
        """`tumor` or `healthy`, whichever is more probable."""
        return "tumor" if self.probability >= 0.5 else "healthy"


def usable_cores() -> int:
    """Cores that this process may use; ONNX Runtime would count all of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Segmenter:
    """A loaded model; safe to share between threads.

    Args:
        folder: a model folder (`model.onnx`, `config.json`).
        threads: CPU threads of one prediction; 0 takes every usable core.

    Raises:
        ModelError: a file is missing, damaged, or not the one that the config names.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        weights = _read(folder / "model.onnx")
        self.config = _read_config(folder / "config.json")
        if hashlib.sha256(weights).hexdigest() != self.config.sha256:
            raise ModelError(f"{folder / 'model.onnx'} is not the file that config.json names: SHA-256 differs")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # the arena keeps the largest image's memory for ever
        options.log_severity_level = 3
        # The provider is pinned so that results repeat.
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])

    def probability(self, grey: Grey) -> tuple[Probability, float]:
        """Run the network.

        Args:
            grey: (H, W) uint8, air = 255.

        Returns:
            (H, W) float32 tumour probability, 0 outside of the body's columns; and the logit of being a patient.
        """
        uptake = normalise(grey)
        columns = body_columns(uptake)
        part = uptake[:, columns]
        tumour, patient = self._session.run(None, {"uptake": pad(part)[None, None]})
        probability = np.zeros(uptake.shape, np.float32)
        probability[:, columns] = tumour[0, 0, : part.shape[0], : part.shape[1]]
        return probability, float(patient[0])

    def segment(self, image: Image) -> Mask:
        """Segment a picture.

        Args:
            image: (H, W, 3) uint8, air = 255; its first channel is used.

        Returns:
            (H, W, 3) uint8: 255 in tumours, else 0.
        """
        probability, _ = self.probability(image[:, :, 0])
        return to_mask(decode(probability, self.config.temperature, self.config.min_peak))

    def analyze(self, image: Image, spacing: tuple[float, float] | None = None) -> Analysis:
        """Segment a picture, classify it and measure each lesion.

        Args:
            image: (H, W, 3) uint8, air = 255.
            spacing: millimetres between rows and between columns, if known.
        """
        grey = image[:, :, 0]
        probability, logit = self.probability(grey)
        tumour = decode(probability, self.config.temperature, self.config.min_peak)
        uptake = normalise(grey)
        return Analysis(
            mask=to_mask(tumour),
            probability=self.config.classifier.probability(features(probability, logit)),
            lesions=measure_lesions(tumour, uptake, probability, spacing),
            warnings=input_warnings(uptake),
        )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"can't read {file}: {error.strerror}") from error


def _read_config(file: Path) -> ModelConfig:
    try:
        content: dict[str, Any] = json.loads(_read(file))
        return ModelConfig(
            name=str(content["name"]),
            sha256=str(content["sha256"]),
            temperature=float(content["temperature"]),
            min_peak=float(content["min_peak"]),
            classifier=Classifier(**content["classifier"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged: {error!r}") from error


@lru_cache(maxsize=1)
def default_segmenter() -> Segmenter:
    """The model that the settings name, loaded once per process.

    Raises:
        ModelError: see `Segmenter`.
    """
    settings = Settings()
    return Segmenter(MODELS / settings.model, settings.threads)
