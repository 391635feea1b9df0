"""Mask files and what belongs to them: references with their images, and the predictions of the same cases."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mipseg.engines.cases import RECORD, without_suffix
from mipseg.errors import InputError, VolumeError
from mipseg.io.codec import decode_image
from mipseg.io.dataset import label_path
from mipseg.io.find import file_kind, files_by_kind
from mipseg.io.mask_png import decode_mask, marked_in
from mipseg.io.volume import farthest_corner, to_patient_frame
from mipseg.types import BinaryMask, GreyImage

MaskKind: TypeAlias = Literal["image", "nifti"]
KINDS: tuple[MaskKind, ...] = ("image", "nifti")
_MAX_SHIFT_MM = 0.1


@dataclass(frozen=True)
class Reference:
    """What is known of a case.

    Attributes:
        name: of the case.
        kind: PNG or NIfTI.
        mask: its file; None for a control, whose mask is empty.
        image: the file of the image; None where it is not at hand.
    """

    name: str
    kind: MaskKind
    mask: Path | None
    image: Path | None = None

    def tumour(self, shape: tuple[int, ...]) -> BinaryMask:
        """What a PNG mask holds; of a control, nothing on a grid of this shape.

        Raises:
            InputError: the mask can't be read.
        """
        return np.zeros(shape, bool) if self.mask is None else read_mask(self.mask)


def find_references(path: Path, images: Path | None = None) -> list[Reference]:
    """List the references of a folder, sorted by name.

    Args:
        path: a PNG or NIfTI mask, a folder of one kind of them, or the data set's (`patients/`, `controls/`), or
            `patients/` alone.
        images: a folder with the images, paired like predictions.

    Raises:
        InputError: there is none, or they are of both kinds.
        DatasetError: a patient of the data set has no mask.
    """
    if (path / "patients/imgs").is_dir():
        return [*_controls(path / "controls/imgs"), *_patients(path / "patients/imgs")]
    if (path / "imgs").is_dir() and (path / "labels").is_dir():
        return _patients(path / "imgs")
    masks = find_masks(path)
    kinds = {kind for _, kind in masks}
    if len(kinds) != 1:
        found = "both PNG and NIfTI masks" if kinds else "no PNG or NIfTI mask"
        raise InputError(f"{path} holds {found}; masks of one kind are needed")
    references = [Reference(name, kind, file) for (name, kind), file in sorted(masks.items())]
    if images is None:
        return references
    shown = pair([reference.name for reference in references], of_kind(find_masks(images), "image"))
    return [replace(reference, image=shown[reference.name]) for reference in references]


def _controls(images: Path) -> list[Reference]:
    return [Reference(image.stem, "image", None, image) for image in sorted(images.glob("*.png"))]


def _patients(images: Path) -> list[Reference]:
    return [Reference(image.stem, "image", label_path(image), image) for image in sorted(images.glob("*.png"))]


def find_masks(path: Path) -> dict[tuple[str, MaskKind], Path]:
    """Mask files by name and kind.

    A mask of a folder `<case>/` that `mipseg segment` wrote has the name of its case; others have that of their file.

    Raises:
        InputError: there is no such file or folder, or two masks have one name.
    """
    if not path.is_dir():
        kind = file_kind(path) if path.is_file() else None
        if kind not in KINDS:
            raise InputError(f"{path} is neither a folder nor a PNG or NIfTI mask")
        return {("mask", "image" if kind == "image" else "nifti"): path}
    found: dict[tuple[str, MaskKind], Path] = {}
    by_kind = files_by_kind(path)
    for kind in KINDS:
        for file in by_kind.get(kind, []):
            is_result = (file.parent / RECORD).is_file()
            name = without_suffix(file.name)
            if is_result and name != "mask":
                continue  # the MIP, the overlay, the SUV
            name = file.parent.name if is_result else name
            if (name, kind) in found:
                raise InputError(f"{path} holds two masks of the name {name}: {found[name, kind]} and {file}")
            found[name, kind] = file
    return found


def of_kind(masks: Mapping[tuple[str, MaskKind], Path], kind: MaskKind) -> dict[str, Path]:
    """The masks of one kind, by name."""
    return {name: file for (name, of), file in masks.items() if of == kind}


def pair(wanted: Collection[str], found: Mapping[str, Path]) -> dict[str, Path | None]:
    """Find the file of each name: the one of the same name, or, where no name is on both sides, of the same number.

    Raises:
        InputError: nothing fits.
    """
    if set(wanted) & found.keys():
        return {name: found.get(name) for name in wanted}
    numbered = {number: file for name, file in found.items() if (number := _number(name))}
    pairs = {name: numbered.get(_number(name)) for name in wanted}
    numbers_repeat = len(numbered) < len(found) or len({_number(name) for name in wanted}) < len(wanted)
    if numbers_repeat or all(file is None for file in pairs.values()):
        examples = f"{min(wanted)} and {min(found, default='none')}"
        raise InputError(f"no mask has the same name on both sides, such as {examples}")
    return pairs


def _number(name: str) -> str:
    """The number at the end of a name; empty where there is none."""
    found = re.search(r"\d+$", name)
    return found.group().lstrip("0") or "0" if found else ""


def read_pair(reference: Reference, prediction: Path) -> tuple[BinaryMask, BinaryMask, float]:
    """Two masks of one grid, and the size of a pixel (1 px) or voxel (in ml).

    Raises:
        InputError: a file can't be read or is no mask, or they do not lie on each other.
    """
    if reference.kind == "nifti" and reference.mask is not None:
        return _read_nifti_pair(reference.mask, prediction)
    found = read_mask(prediction)
    true = reference.tumour(found.shape)
    _check_shapes(true, found)
    return true, found, 1.0


def _read_nifti_pair(reference: Path, prediction: Path) -> tuple[BinaryMask, BinaryMask, float]:
    """Two masks (Z, Y, X) in the patient's frame: files may hold one grid's axes in other orders and directions."""
    from mipseg.io.nifti import read_nifti  # noqa: PLC0415 # an extra

    files = (reference, prediction)
    (true, place, *_), (found, other, *_) = (to_patient_frame(read_nifti(file), "nifti") for file in files)
    _check_shapes(true, found)
    if farthest_corner(place, other, true.shape) > _MAX_SHIFT_MM:
        raise VolumeError("reference and prediction lie at different places")
    voxel_ml = float(abs(np.linalg.det(place[:3, :3]))) / 1000
    return marked_in(true, str(reference)), marked_in(found, str(prediction)), voxel_ml


def _check_shapes(true: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
    if true.shape != found.shape:
        raise VolumeError(f"the shapes differ: reference {true.shape}, prediction {found.shape}")


def read_mask(file: Path) -> BinaryMask:
    """Read a PNG mask: 0, and one other value where there is tumour.

    Raises:
        InputError: it can't be read or is no mask.
    """
    return marked_in(decode_mask(file.read_bytes(), str(file)), str(file))


def read_grey(file: Path) -> GreyImage:
    """Read a PNG or JPEG.

    Raises:
        InputError: it can't be read.
    """
    return decode_image(file.read_bytes())[:, :, 0]


def probability_beside(mask: Path) -> float | None:
    """The probability of a tumour anywhere that `mipseg segment` wrote beside its mask; None where it did not."""
    try:
        return float(json.loads((mask.parent / RECORD).read_text(encoding="utf-8"))["has_tumour"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
