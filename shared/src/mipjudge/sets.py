"""The validation and the test set: patients of the data set, or phantoms where it is missing; never served."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipjudge.models import VALIDATION
from mipjudge.settings import JudgeSettings
from mipseg.dataset import Case
from mipseg.errors import DatasetError
from mipseg.phantom import make_phantom
from mipseg.types import Grey

DATASET, PHANTOMS = "dataset", "phantoms"
# Phantoms of different sizes, as the championship's pictures are: eyes to mid-thigh, whole body, trunk.
_HEIGHTS = (489, 489, 489, 930, 350)


@dataclass(frozen=True)
class ImageSet:
    """Cases that are read when they are needed.

    Attributes:
        names: of the cases, in the order in which they are sent.
        fingerprint: tells whether an attempt goes on with the set with which it began.
        files: from a name to its picture and its mask.
    """

    names: tuple[str, ...]
    fingerprint: str
    files: Callable[[str], tuple[Path, Path]]

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.names)

    def load(self, position: int) -> tuple[Case, bytes]:
        """Read one case, and its picture as the file that an endpoint is sent.

        Raises:
            DatasetError: its files are missing or damaged.
        """
        picture, label = self.files(self.names[position])
        try:
            data = picture.read_bytes()
            image, mask = _grey(data), _grey(label.read_bytes())
        except (OSError, ValueError, SyntaxError) as error:
            raise DatasetError(f"{picture} or its mask can't be read: {error}") from error
        if image.shape != mask.shape or not ((mask == 0) | (mask == 255)).all():
            raise DatasetError(f"{label} must have its picture's size {image.shape} and hold only 0 and 255")
        return Case(picture.stem, image, mask == 255), data


@dataclass(frozen=True)
class Sets:
    """Both sets.

    Attributes:
        validation: for as many attempts as one likes.
        test: for the one evaluation.
        source: `dataset` or `phantoms`.
    """

    validation: ImageSet
    test: ImageSet
    source: str

    def of(self, kind: str) -> ImageSet:
        """The set of a kind of attempts."""
        return self.validation if kind == VALIDATION else self.test


def build_sets(settings: JudgeSettings) -> Sets:
    """Choose both sets by the settings' seed; no case is in both.

    Raises:
        DatasetError: a patient of the data set has no mask.
    """
    images = sorted((settings.data_dir / "patients/imgs").glob("patient_*.png"))
    if len(images) >= 2:
        for path in images:
            if not _label(path).is_file():
                raise DatasetError(f"{path} has no mask: {_label(path)} is missing")
        names, source, files = [str(path) for path in images], DATASET, _patient_files
    else:
        folder = settings.dir / "phantoms"
        names, source = [str(number) for number in range(2 * settings.set_size)], PHANTOMS

        def files(name: str) -> tuple[Path, Path]:
            return _phantom_files(folder, settings.seed, int(name))

    order = np.random.default_rng(settings.seed).permutation(len(names))
    size = min(settings.set_size, len(names) // 2)
    chosen = [tuple(names[i] for i in part) for part in (order[:size], order[size : 2 * size])]
    validation, test = (ImageSet(part, _fingerprint(source, settings.seed, part), files) for part in chosen)
    return Sets(validation, test, source)


def _label(path: Path) -> Path:
    return path.parents[1] / "labels" / path.name.replace("patient", "segmentation")


def _fingerprint(source: str, seed: int, names: tuple[str, ...]) -> str:
    text = "\n".join([source, str(seed), *(Path(name).name for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()


def _grey(data: bytes) -> Grey:
    # Without the guards of `mipseg.codec`: the operator's own files, and this is most of what an image costs.
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("L"))


def _patient_files(name: str) -> tuple[Path, Path]:
    return Path(name), _label(Path(name))


def _phantom_files(folder: Path, seed: int, number: int) -> tuple[Path, Path]:
    """Where a phantom lies; it is drawn (0.3 s) when it is needed for the first time."""
    picture, label = folder / f"{seed}_{number}_image.png", folder / f"{seed}_{number}_mask.png"
    if not (picture.is_file() and label.is_file()):
        # A phantom's seed is a hash, so that the next number is not the next phantom of a guessed seed.
        hashed = int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:6], "big")
        phantom = make_phantom(hashed, height=_HEIGHTS[number % len(_HEIGHTS)])
        folder.mkdir(parents=True, exist_ok=True)
        _write(label, np.where(phantom.mask, 255, 0).astype(np.uint8))
        _write(picture, np.repeat(phantom.mip[:, :, None], 3, axis=2))
    return picture, label


def _write(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    part = path.with_name(f"{path.name}.{uuid4().hex}")  # whole or not at all, also when the process is killed
    PillowImage.fromarray(pixels).save(part, "PNG")
    os.replace(part, path)
