"""The one seam: an image in, a mask out. Command line, library and HTTP all come through here."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mipseg.checks import input_warnings
from mipseg.errors import ModelError
from mipseg.measure.lesions_2d import Lesion, measure_lesions
from mipseg.model.classify import Classifier, features
from mipseg.model.inference import Network, infer
from mipseg.model.postprocess import binarise_if_patient, to_mask
from mipseg.model.preprocess import normalise
from mipseg.model.runtime import computes_in_bfloat16, load_bfloat16, load_float32, usable_cores
from mipseg.settings import Settings
from mipseg.types import BinaryMask, GreyImage, Image, Mask, Probability

MODELS = Path(__file__).parents[1] / "models"
ATLAS = "atlas.npy"
FAST_NETWORKS = 2  # one of each run


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` in a model folder says.

    Attributes:
        name: the folder's name.
        networks: SHA-256 of each network's file, checked at load.
        atlas: the same of the atlas' file; None if no network wants one.
        temperature, min_peak, min_patient: how the mask is decoded; see `binarise_if_patient`.
        classifier: patient or healthy.
    """

    name: str
    networks: Mapping[str, str]
    atlas: str | None
    temperature: float
    min_peak: float
    min_patient: float
    classifier: Classifier

    @property
    def sha256(self) -> str:
        """One digest for all files."""
        return hashlib.sha256("".join([*self.networks.values(), self.atlas or ""]).encode()).hexdigest()


@dataclass(frozen=True)
class Analysis:
    """Everything the model says about an image.

    Attributes:
        mask: (H, W, 3) uint8, 0 or 255.
        probability: probability that the image shows a tumour, calibrated by cross-validation.
        lesions: the mask's components, largest first.
        warnings: reasons to doubt that the image is a MIP-PET; see `input_warnings`.
    """

    mask: Mask
    probability: float
    lesions: list[Lesion]
    warnings: list[str]

    @property
    def label(self) -> str:
        """`tumor` or `healthy`, whichever is more probable."""
        return "tumor" if self.probability >= 0.5 else "healthy"


class Segmenter:
    """A loaded model; safe to share between threads.

    Args:
        folder: a model folder: networks (`*.onnx`), maybe an atlas (`atlas.npy`), and `config.json`.
        threads: CPU threads of one prediction; 0 takes every usable core.
        fast: take two of the networks only, one of each kind.
        bfloat16: compute in bfloat16 where that is possible; see `mipseg.model.runtime`.
        min_patient: least probability of being a patient that gets a mask; None: the model's.

    Raises:
        ModelError: a file is missing, damaged, or not the one that the config names.
    """

    def __init__(
        self,
        folder: Path,
        threads: int = 0,
        *,
        fast: bool = False,
        bfloat16: bool = False,
        min_patient: float | None = None,
    ) -> None:
        self.config = _read_config(folder / "config.json")
        if min_patient is not None:
            self.config = replace(self.config, min_patient=min_patient)
        chosen = list(self.config.networks.items())[: FAST_NETWORKS if fast else None]
        load = load_bfloat16 if bfloat16 and computes_in_bfloat16() else load_float32
        threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(threads, "network")
        # Networks side by side use the cores better than one network on all of them; but the two fast ones hardly
        # overlap, since one of them runs while the image is registered to the atlas for the other.
        each = threads if fast else max(1, threads // len(chosen))

        def network(file: tuple[str, str]) -> Network:
            name, sha256 = file
            return load(_checked(folder / name, sha256), each)

        self._networks = list(self._pool.map(network, chosen))
        sha256 = self.config.atlas
        self._atlas = np.load(BytesIO(_checked(folder / ATLAS, sha256)), allow_pickle=False) if sha256 else None
        if self._atlas is None and any(network.in_channels > 1 for network in self._networks):
            raise ModelError(f"a network in {folder} wants an atlas, but config.json names none")

    def probability(self, grey: GreyImage) -> tuple[Probability, float]:
        """Run the networks; see `infer`."""
        return infer(grey, self._networks, self._atlas, self._pool)

    def segment(self, image: Image) -> Mask:
        """Segment an image.

        Args:
            image: (H, W, 3) uint8, air = 255; its first channel is used.

        Returns:
            (H, W, 3) uint8: 255 in tumours, else 0.
        """
        probability, logit = self.probability(image[:, :, 0])
        return to_mask(self._decode(probability, self._patient(probability, logit)))

    def analyze(self, image: Image, spacing: tuple[float, float] | None = None) -> Analysis:
        """Segment an image, classify it and measure each lesion.

        Args:
            image: (H, W, 3) uint8, air = 255.
            spacing: millimetres between rows and between columns, if known.
        """
        grey = image[:, :, 0]
        probability, logit = self.probability(grey)
        patient = self._patient(probability, logit)
        tumour, intensity = self._decode(probability, patient), normalise(grey)
        return Analysis(
            mask=to_mask(tumour),
            probability=patient,
            lesions=measure_lesions(tumour, intensity, probability, spacing),
            warnings=input_warnings(intensity),
        )

    def _patient(self, probability: Probability, logit: float) -> float:
        return self.config.classifier.probability(features(probability, logit))

    def _decode(self, probability: Probability, patient: float) -> BinaryMask:
        config = self.config
        return binarise_if_patient(probability, patient, config.temperature, config.min_peak, config.min_patient)


def _checked(file: Path, sha256: str) -> bytes:
    weights = _read(file)
    if hashlib.sha256(weights).hexdigest() != sha256:
        raise ModelError(f"{file} is not the file that config.json names: SHA-256 differs")
    return weights


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
            networks={str(name): str(sha256) for name, sha256 in content["networks"].items()},
            atlas=content.get("atlas"),
            temperature=float(content["temperature"]),
            min_peak=float(content["min_peak"]),
            min_patient=float(content["min_patient"]),
            classifier=Classifier(**content["classifier"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged: {error!r}") from error


@lru_cache(maxsize=1)
def default_segmenter() -> Segmenter:
    """The model that the settings name, loaded once per process.

    Raises:
        ModelError: see `Segmenter`.
    """
    settings = Settings()
    return Segmenter(
        MODELS / settings.model,
        settings.threads,
        fast=settings.fast,
        bfloat16=settings.bfloat16,
        min_patient=settings.min_patient,
    )
