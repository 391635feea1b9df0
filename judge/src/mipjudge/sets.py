"""The validation and the test set: patients of the data set, or phantoms where it is missing; never served."""

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipjudge.attempt_queue import Images
from mipjudge.models import VALIDATION
from mipjudge.settings import JudgeSettings
from mipseg.errors import DatasetError, ImageError
from mipseg.io.dataset import Case, label_path, read_mask, read_patient
from mipseg.io.mask_png import as_rgb_png
from mipseg.phantom import make_phantom
from mipseg.types import BinaryMask

DATASET, PHANTOMS = "dataset", "phantoms"
# Phantoms of different sizes, as the championship's images are: eyes to mid-thigh, whole body, trunk.
PHANTOM_HEIGHTS = (489, 489, 489, 930, 350)
PHANTOM_VERSION = 1  # another number where a phantom of the same seed is another image: scores are kept apart by it


@dataclass(frozen=True)
class ImageSet:
    """Cases that are read when they are needed.

    Attributes:
        names: of the cases, in the order in which they are sent.
        fingerprint: of the images and masks; tells whether an attempt goes on with the set with which it began.
        files: from a name to its image and its mask.
    """

    names: tuple[str, ...]
    fingerprint: str
    files: Callable[[str], tuple[Path, Path]]

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.names)

    def load(self, position: int) -> tuple[BinaryMask, bytes]:
        """Read one case as it is judged: its reference mask, and its image as a file in plain RGB.

        Raises:
            DatasetError: a file is missing or damaged, or their sizes differ.
            OSError: a phantom can't be written, such as on a full disk.
        """
        image, label = self.files(self.names[position])
        mask = read_mask(label)
        try:
            data = as_rgb_png(image.read_bytes())
            with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as header:
                width, height = header.size
        except (OSError, ValueError, SyntaxError, ImageError) as error:
            raise DatasetError(f"{image} is not a readable PNG: {error}") from error
        if mask.shape != (height, width):
            raise DatasetError(f"{label} is {mask.shape}, but its image is {(height, width)}")
        return mask, data

    def case(self, position: int) -> Case:
        """Read one case with its pixels, to look at.

        Raises:
            DatasetError: a file is missing or damaged, or their sizes differ.
        """
        return read_patient(*self.files(self.names[position]))


@dataclass(frozen=True)
class Sets:
    """Both sets.

    Attributes:
        validation: for any number of attempts.
        test: for the one evaluation.
        source: `dataset` or `phantoms`.
    """

    validation: ImageSet
    test: ImageSet
    source: str

    @property
    def collection(self) -> str:
        """What tells these sets from others, 16 hex digits."""
        return hashlib.sha256(f"{self.validation.fingerprint} {self.test.fingerprint}".encode()).hexdigest()[:16]

    def images(self, kind: str) -> Images:
        """What the queue notes about the images of a kind of attempts."""
        chosen = self.of(kind)
        return Images(chosen.fingerprint, len(chosen), self.source, self.collection)

    def of(self, kind: str) -> ImageSet:
        """The set of a kind of attempts."""
        return self.validation if kind == VALIDATION else self.test


def describe_images(source: str | None, number: int | None) -> str:
    """The images in words, such as `200 phantoms`."""
    name = {DATASET: "patients of the data set", PHANTOMS: "phantoms"}.get(source or "", "images")
    return f"{number} {name}"


def build_sets(settings: JudgeSettings) -> Sets:
    """Choose both sets by the settings' seed; no case is in both.

    Raises:
        DatasetError: a patient of the data set has no mask, or a file can't be read.
    """
    images = sorted((settings.data_dir / "patients/imgs").glob("patient_*.png"))
    if len(images) >= 2:
        for path in images:
            label_path(path)  # raises where there is none
        names, source, files, identity = [str(path) for path in images], DATASET, _patient_files, _hash_of_patient
    else:
        folder = settings.dir / f"phantoms/{PHANTOM_VERSION}"
        names, source = [str(number) for number in range(2 * settings.set_size)], PHANTOMS

        def files(name: str) -> tuple[Path, Path]:
            return _phantom_files(folder, settings.seed, int(name))

        def identity(name: str) -> str:  # not by its pixels, as it may not have been drawn yet
            return f"{PHANTOM_VERSION} {settings.seed} {name}"

    order = np.random.default_rng(settings.seed).permutation(len(names))
    size = min(settings.set_size, len(names) // 2)
    chosen = [tuple(names[i] for i in part) for part in (order[:size], order[size : 2 * size])]
    validation, test = (ImageSet(part, _fingerprint(source, map(identity, part)), files) for part in chosen)
    return Sets(validation, test, source)


def _fingerprint(source: str, identities: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([source, *identities]).encode()).hexdigest()


def _hash_of_patient(name: str) -> str:
    try:
        return " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in _patient_files(name))
    except OSError as error:
        raise DatasetError(f"{error.filename} can't be read: {error.strerror}") from error


def _patient_files(name: str) -> tuple[Path, Path]:
    return Path(name), label_path(Path(name))


def _phantom_files(folder: Path, seed: int, number: int) -> tuple[Path, Path]:
    """Where a phantom lies; it is drawn (0.3 s) when it is needed for the first time."""
    image, label = folder / f"{seed}_{number}_image.png", folder / f"{seed}_{number}_mask.png"
    if not (image.is_file() and label.is_file()):
        # A phantom's seed is a hash, so that the next number is not the next phantom of a guessed seed.
        hashed = int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:6], "big")
        phantom = make_phantom(hashed, height=PHANTOM_HEIGHTS[number % len(PHANTOM_HEIGHTS)])
        folder.mkdir(parents=True, exist_ok=True)
        _write(label, np.where(phantom.mask, 255, 0).astype(np.uint8))
        _write(image, np.repeat(phantom.mip[:, :, None], 3, axis=2))
    return image, label


def _write(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    part = path.with_name(f"{path.name}.{uuid4().hex}")  # whole or not at all, also when the process is killed
    PillowImage.fromarray(pixels).save(part, "PNG")
    os.replace(part, path)
