"""What `clicks.mjs` corrects: patients with the probabilities of networks that did not see them, and altered copies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.io.dataset import load_dataset
from mipseg.model.folder import read_config
from mipseg.model.postprocess import binarise
from mipseg.model.segmenter import MODELS
from mipseg.settings import Settings

Image = npt.NDArray[Any]
Maps = dict[str, list[Image]]

SHIFT = 0.5  # of a copy's log odds, a standard deviation: outlines are wider or tighter than the model's
SIZE, CONTRAST, GAMMA = 0.15, 0.2, 0.1  # standard deviations of their logarithms


class Patient(NamedTuple):
    """A patient.

    Attributes:
        id: as in the data set.
        fold: whose rule corrects the patient.
        reference: (H, W) bool.
        intensity: (H, W) float32 in [0, 1].
        probabilities: (H, W) float32 each: the mean of the networks, which is judged, and others to make copies of.
    """

    id: str
    fold: int
    reference: Image
    intensity: Image
    probabilities: list[Image]


def read_patients(judged: Sequence[Path], others: Sequence[Path], folds: dict[str, int]) -> list[Patient]:
    """Read the patients of whom there are maps; of one fold alone, they are dealt anew."""
    cases = [case for case in load_dataset(Settings().data_dir) if case.has_tumour]
    maps, more = (_read_maps(files, {case.id for case in cases}) for files in (judged, others))
    cases = [case for case in cases if case.id in maps]
    is_one_fold = len({folds[case.id] for case in cases}) == 1
    return [
        Patient(
            case.id,
            number % 4 if is_one_fold else folds[case.id],
            case.mask.astype(bool),
            case.intensity,
            maps[case.id] + more.get(case.id, []),
        )
        for number, case in enumerate(cases)
    ]


def _read_maps(files: Sequence[Path], names: set[str]) -> Maps:
    found: Maps = {}
    for file in files:
        with np.load(file) as arrays:
            for name in names.intersection(arrays.files):
                values = arrays[name]
                share = values / np.float32(255) if values.dtype == np.uint8 else values
                found.setdefault(name, []).append(share.astype(np.float32))
    return found


def write_patient(folder: Path, patient: Patient) -> dict[str, Any]:
    """Write a patient's images for Node."""
    return _write(folder, patient.id, patient, patient.probabilities[0])


def write_copy(folder: Path, name: str, patient: Patient, draw: np.random.Generator) -> dict[str, Any]:
    """Write a patient with another size, contrast, gamma and outline, seen by a random mean of the networks."""
    maps = patient.probabilities
    mean = np.clip(np.tensordot(draw.dirichlet(np.full(len(maps), 0.5)), maps, 1), 1e-4, 1 - 1e-4)
    probability = 1 / (1 + (1 / mean - 1) * np.exp(draw.normal(0, SHIFT)))
    size, contrast, gamma = np.exp(draw.normal(0, (SIZE, CONTRAST, GAMMA)))

    def resized(image: Image) -> Image:
        found: Image = ndimage.zoom(image.astype(np.float32), size, order=1)
        return found.clip(0, 1)

    marked = resized(patient.reference)
    copy = patient._replace(
        reference=marked >= marked.max() / 2,  # so that an only lesion of one pixel does not get lost
        intensity=np.minimum(contrast * resized(patient.intensity) ** gamma, 1),
    )
    return _write(folder, name, copy, resized(probability))


def _write(folder: Path, name: str, patient: Patient, probability: Image) -> dict[str, Any]:
    model = read_config(MODELS / Settings().model)
    images = {
        "reference": patient.reference,
        "intensity": np.rint(255 * patient.intensity),
        "probability": np.rint(255 * probability),
        "mask": binarise(probability, model.temperature, model.min_peak),
    }
    for kind, image in images.items():
        image.astype(np.uint8).tofile(folder / f"{name}.{kind}")
    height, width = patient.reference.shape
    return {"id": name, "fold": patient.fold, "width": width, "height": height}
