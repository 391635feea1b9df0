"""The model as one object: intensity in, tumour out. Command line, library and HTTP all come through here."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.checks import check_intensity
from mipseg.model.classify import features
from mipseg.model.cores import usable_cores
from mipseg.model.folder import ModelConfig, NetworkFile, read_checked, read_config
from mipseg.model.inference import Network, infer
from mipseg.model.postprocess import binarise_if_patient
from mipseg.model.runtime import BFLOAT16, FLOAT32, Runtime, computes_in_bfloat16
from mipseg.settings import Settings
from mipseg.types import BinaryMask, Probability

MODELS = Path(__file__).parents[1] / "models"


class Segmentation(NamedTuple):
    """What the model says about an image.

    Attributes:
        tumour: (H, W) bool.
        probability: (H, W) float32 in [0, 1], of each pixel.
        has_tumour: probability that the image shows a tumour anywhere, calibrated by cross-validation.
    """

    tumour: BinaryMask
    probability: Probability
    has_tumour: float


@dataclass(frozen=True)
class _Loaded:
    config: ModelConfig
    networks: Sequence[Network]
    pool: ThreadPoolExecutor


class Segmenter:
    """A model; safe to share between threads. Its files are read at the first use, or by `load`.

    Args:
        folder: a model folder, see `mipseg.model.folder`.
        threads: CPU threads of one prediction; 0 takes every usable core.
        bfloat16: compute in bfloat16 where that is possible; see `mipseg.model.runtime`.
        min_patient: below this probability of a tumour anywhere the mask is left empty; None: the model's own.
    """

    def __init__(
        self,
        folder: Path,
        threads: int = 0,
        *,
        bfloat16: bool = False,
        min_patient: float | None = None,
    ) -> None:
        self._folder, self._threads, self._min_patient = folder, threads, min_patient
        self._bfloat16, self._lock = bfloat16, Lock()
        self._loaded: _Loaded | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether its networks are in memory."""
        return self._loaded is not None

    @property
    def config(self) -> ModelConfig:
        """What the model folder says; loads the model if need be."""
        return self.load().config

    @property
    def runtime(self) -> Runtime:
        """What computes the networks, and in which precision."""
        return BFLOAT16 if self._bfloat16 and computes_in_bfloat16() else FLOAT32

    def load(self) -> _Loaded:
        """Read all files, once.

        Raises:
            ModelError: a file is missing, damaged, or not the one that the configuration names.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._read()
            return self._loaded

    def _read(self) -> _Loaded:
        config = read_config(self._folder)
        if self._min_patient is not None:
            config = replace(config, min_patient=self._min_patient)
        threads = self._threads or usable_cores()
        pool = ThreadPoolExecutor(threads, "network")
        runtime = self.runtime

        def load(network: NetworkFile) -> Network:
            # Side by side, each on all cores: while one waits the other goes on, and the longest ends on all of them.
            run = runtime.load(read_checked(self._folder / network.file, network.sha256), threads)
            return Network(network.mirrored, run)

        return _Loaded(config, list(pool.map(load, config.networks)), pool)

    def segment(self, intensity: npt.NDArray[Any]) -> Segmentation:
        """Find the tumours.

        Args:
            intensity: (H, W) float in [0, 1], air 0, at the pitch of the training (about 2 mm).

        Raises:
            ArgumentError: anything else.
            ModelError: the model can't be loaded.
        """
        probability, logit = self.probability(check_intensity(intensity))
        config = self.config
        has_tumour = config.classifier.probability(features(probability, logit))
        decoding = config.temperature, config.min_peak, config.min_patient
        return Segmentation(binarise_if_patient(probability, has_tumour, *decoding), probability, has_tumour)

    def probability(self, intensity: npt.NDArray[np.float32]) -> tuple[Probability, float]:
        """Run the networks; see `infer`."""
        loaded = self.load()
        return infer(intensity, loaded.networks, loaded.pool)


def load_segmenter(settings: Settings | None = None) -> Segmenter:
    """The model that the settings name: one object for equal settings, whose files are read at its first use.

    Args:
        settings: None: from the environment.
    """
    s = settings or Settings()
    return _shared(MODELS / s.model, s.threads, s.bfloat16, s.min_patient)


@lru_cache(maxsize=4)
def _shared(folder: Path, threads: int, bfloat16: bool, min_patient: float | None) -> Segmenter:
    return Segmenter(folder, threads, bfloat16=bfloat16, min_patient=min_patient)
