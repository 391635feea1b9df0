"""The championship's data set on disk: reading it, and putting it in place.

<root>/patients/imgs/patient_NNN.png         a MIP of a patient
<root>/patients/labels/segmentation_NNN.png  its tumour mask, 0 or 255
<root>/controls/imgs/control_NNN.png         a MIP of a healthy person

Images are grey, air white, and hot black; an alpha channel and 16 bits per pixel are read as the service reads them.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageChops

from mipseg.command import errors_in_one_line
from mipseg.constants import MAX_PIXELS
from mipseg.errors import DatasetError, ImageError, InputError, NotGreyError
from mipseg.io import png
from mipseg.io.arrays import intensity_of_image
from mipseg.io.codec import decode_image
from mipseg.io.sizes import check_size
from mipseg.phantom import make_phantom
from mipseg.settings import Settings
from mipseg.types import BinaryMask, GreyImage, Intensity

SAMPLE_PHANTOM = 2  # one of middling difficulty
MAX_DEPTH = 3  # folders between a repository and its data set; a wrong folder may be a whole disk
WHITE, DARK = 230, 128  # air is at least as bright as the first; a border below the second shows none
MIN_BODY = 0.01  # share of an image's pixels; 0.24 at least in the data set
_DEPTH_AT = 24  # the byte of a PNG that says its bits per sample


@dataclass(frozen=True, eq=False)
class Case:
    """One person: an image and, for patients, the reference mask.

    Attributes:
        id: the image's file name without its ending, such as `patient_012`.
        image: (H, W) uint8, air = 255.
        mask: (H, W) bool; all False for a control.
    """

    id: str
    image: GreyImage
    mask: BinaryMask

    @property
    def intensity(self) -> Intensity:
        """(H, W) float32 in [0, 1], air 0."""
        return intensity_of_image(self.image)

    @property
    def has_tumour(self) -> bool:
        """Whether this person has a reference mask with tumours."""
        return self.id.startswith("patient")


def read_image(path: Path) -> GreyImage:
    """Read a PNG as the service does, but repair nothing.

    Returns:
        (H, W) uint8, air 255. What is transparent shows white; 16-bit values are scaled by the bits that they use.

    Raises:
        DatasetError: it is no PNG, damaged, coloured or too large, or its air is not white.
    """
    image = _decoded(path)
    border = np.concatenate((image[0], image[-1], image[:, 0], image[:, -1]))
    if np.median(border) < min(DARK, image.mean()) or image.max() < WHITE:
        raise DatasetError(f"{path} has no white air; images must have white air (255), and what is hot black")
    return image


def _decoded(path: Path) -> GreyImage:
    try:
        data = path.read_bytes()
        if not data.startswith(png.SIGNATURE):
            raise ImageError("it does not begin as one")
        plain = _plain_grey(data)
        return np.ascontiguousarray(decode_image(data)[:, :, 0]) if plain is None else plain
    except NotGreyError as error:
        raise DatasetError(f"{path}: {error}") from error
    except (InputError, OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{path} is not a readable PNG: {error}") from error


def _plain_grey(data: bytes) -> GreyImage | None:
    """The pixels of an opaque grey PNG of 8 bits, in half of the time that `decode_image` needs; None for others."""
    check_size(int.from_bytes(data[16:20]), int.from_bytes(data[20:24]), MAX_PIXELS)
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
        if data[_DEPTH_AT] != 8 or image.mode not in ("L", "RGB", "RGBA") or "transparency" in image.info:
            return None
        grey = image.convert("L")
        differences = ImageChops.difference(image, grey.convert(image.mode))
        if differences.getbbox(alpha_only=False) or image.getexif():
            return None
        return np.asarray(grey)


def _read_body(path: Path) -> GreyImage:
    """Read the image of a case, which must show a body; see `read_image`."""
    image = read_image(path)
    if (image < WHITE).mean() < MIN_BODY:
        raise DatasetError(f"{path} shows no body: all of it is white")
    return image


def label_path(image: Path) -> Path:
    """Where the mask of a patient's image lies.

    Raises:
        DatasetError: it is missing.
    """
    label = image.parents[1] / "labels" / image.name.replace("patient", "segmentation")
    if not label.is_file():
        raise DatasetError(f"{image} has no mask: {label} is missing")
    return label


def read_mask(label: Path) -> BinaryMask:
    """Read a reference mask.

    Returns:
        (H, W) bool.

    Raises:
        DatasetError: not a PNG, or one with values other than 0 and 255.
    """
    try:
        with PillowImage.open(label, formats=["PNG"]) as image:
            mask = np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{label} is not a readable PNG: {error}") from error
    if not ((mask == 0) | (mask == 255)).all():
        raise DatasetError(f"{label} has values other than 0 and 255")
    tumour: BinaryMask = mask == 255
    return tumour


def read_patient(image: Path, label: Path) -> Case:
    """Read an image and its mask.

    Raises:
        DatasetError: one of them is damaged or not what it should be, or they differ in size.
    """
    grey, mask = _read_body(image), read_mask(label)
    if grey.shape != mask.shape:
        raise DatasetError(f"{label} is {mask.shape}, but its image is {grey.shape}")
    return Case(image.stem, grey, mask)


def iter_cases(root: Path) -> Iterator[Case]:
    """Read every case, patients first, each group in the order of its names.

    Args:
        root: the folder that holds `patients/` and `controls/`, or one above it.

    Raises:
        DatasetError: nothing is there, a mask is missing, or a file is damaged or not what it should be.
    """
    root = find_dataset(root)
    patients = sorted((root / "patients/imgs").glob("patient_*.png"))
    controls = sorted((root / "controls/imgs").glob("control_*.png"))
    if not patients:
        raise DatasetError(f"no patients in {root / 'patients/imgs'}")
    for path in patients:
        yield read_patient(path, label_path(path))
    for path in controls:
        image = _read_body(path)
        yield Case(path.stem, image, np.zeros(image.shape, bool))


def load_dataset(root: Path) -> list[Case]:
    """Read every case into memory (about 100 MB for the whole data set); see `iter_cases`."""
    return list(iter_cases(root))


def installed_dataset(settings: Settings) -> Path | None:
    """Where the data set lies; None where it is not installed and was not asked for.

    Raises:
        DatasetError: MIPSEG_DATA_DIR names a folder with no data set in or below it.
    """
    if "data_dir" not in settings.model_fields_set:
        return settings.data_dir if (settings.data_dir / "patients/imgs").is_dir() else None
    try:
        return find_dataset(settings.data_dir)
    except DatasetError as error:
        raise DatasetError(f"MIPSEG_DATA_DIR: {error}") from None


def sample_case(settings: Settings) -> Case:
    """One case to look at: the data set's first patient, or a phantom where the data set is not installed.

    Raises:
        DatasetError: see `installed_dataset` and `iter_cases`.
    """
    if root := installed_dataset(settings):
        return next(iter_cases(root))
    phantom = make_phantom(seed=SAMPLE_PHANTOM)
    return Case(f"phantom_{SAMPLE_PHANTOM}", phantom.mip, phantom.mask)


def find_dataset(source: Path) -> Path:
    """Find the folder with `patients/` and `controls/` in or below a folder, such as the organisers' repository.

    Raises:
        DatasetError: there is none.
    """
    for depth in range(MAX_DEPTH + 1):
        for images in sorted(source.glob("*/" * depth + "patients/imgs")):
            if (images.parent / "labels").is_dir():
                return images.parents[1]
    raise DatasetError(
        f"no patients/imgs and patients/labels in or below {source}. Get the data from the organisers' repository and "
        "run `make data FROM=<its folder>`"
    )


def install(source: Path, destination: Path) -> list[Case]:
    """Check a copy of the data set and put it in its place; nothing is copied unless all of it is sound.

    A running judge that finds the patients finds everything: they come last, and whole.

    Raises:
        DatasetError: the source holds no sound data set.
    """
    folder = find_dataset(source)
    cases = load_dataset(folder)
    for group in ("controls", "patients"):
        if (folder / group).is_dir():
            _replace(folder / group, destination / group)
    return cases


def _replace(source: Path, target: Path) -> None:
    """Copy the PNGs of a group beside the target, then put them in its place."""
    if target.exists() and source.samefile(target):
        return
    with TemporaryDirectory(prefix=".new-", dir=_made(target.parent)) as beside:
        for part in ("imgs", "labels"):
            if (source / part).is_dir():
                shutil.copytree(source / part, Path(beside, "new", part))
        if target.exists():
            target.rename(Path(beside, "old"))
        Path(beside, "new").rename(target)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Command line: `python -m mipseg.io.dataset <folder>` installs the data set where the settings say."""
    parser = argparse.ArgumentParser(description="Check the data set and put it where MIPseg looks for it.")
    parser.add_argument("source", type=Path, help="folder of the organisers' repository")
    source = parser.parse_args().source
    with errors_in_one_line():
        destination = Settings().data_dir
        cases = install(source, destination)
    heights = [case.image.shape[0] for case in cases]
    patients = sum(case.has_tumour for case in cases)
    sys.stdout.write(
        f"{patients} patients and {len(cases) - patients} controls, {min(heights)} to {max(heights)} px high, "
        f"masks 0/255, are in {destination}\n"
    )


if __name__ == "__main__":
    main()
