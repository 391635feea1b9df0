"""Folders of masks against their references: Dice with its interval, lesions by size, clean controls."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mipseg.engines.cases import RECORD, without_suffix
from mipseg.errors import InputError, VolumeError
from mipseg.io.codec import decode_image
from mipseg.io.find import file_kind, files_by_kind
from mipseg.metrics import LesionMatch, dice_score, match_lesions

MaskKind: TypeAlias = Literal["image", "nifti"]
SIZES: dict[MaskKind, tuple[float, ...]] = {"image": (0, 10, 35, 100), "nifti": (0, 1, 5, 20)}  # px and ml, from
UNITS: dict[MaskKind, str] = {"image": "px", "nifti": "ml"}
CONFIDENCE = 0.95
_MAX_SHIFT_MM = 0.1


@dataclass(frozen=True)
class Interval:
    """A mean and where it lies, with 95 % confidence, by bootstrap over cases (Efron 1979, percentile).

    Attributes:
        mean: of the cases; None without any.
        low: lower end; None for fewer than 2 cases, as is the next.
        high: upper end.
        cases: their number.
    """

    mean: float | None
    low: float | None
    high: float | None
    cases: int


@dataclass(frozen=True)
class SizeRow:
    """Lesions of one size.

    Attributes:
        size: such as `10-35 px`.
        reference: lesions of this size in the references.
        found: those of them that a predicted lesion overlaps.
        prediction: lesions of this size in the predictions.
        true: those of them that overlap a lesion of the reference.
    """

    size: str
    reference: int
    found: int
    prediction: int
    true: int


@dataclass(frozen=True)
class Evaluation:
    """What a folder of masks is worth.

    Attributes:
        dice: of the cases whose reference has tumour.
        lesions: by size, of all cases.
        controls: cases whose reference has no tumour.
        clean_controls: those of them whose prediction has none either.
        scores: Dice of each case by name; of a control 1 or 0.
        failed: why a case could not be scored, by name.
    """

    dice: Interval
    lesions: tuple[SizeRow, ...]
    controls: int
    clean_controls: int
    scores: dict[str, float]
    failed: dict[str, str]


def evaluate_masks(reference: Path, prediction: Path) -> Evaluation:
    """Compare masks with their references.

    A mask of a folder `<case>/` that `mipseg segment` wrote has the name of its case; others have that of their file.
    Pairs have the same name, or, where no name is on both sides, the same number at its end.

    Args:
        reference: a PNG or NIfTI mask, or a folder of one kind of them; non-zero is tumour, of PNG what is above 127.
        prediction: the same for the predictions.

    Raises:
        InputError: there is nothing to compare, or references of both kinds.
    """
    wanted = _masks(reference)
    kinds = {kind for _, kind in wanted}
    if len(kinds) != 1:
        found = "both PNG and NIfTI masks" if kinds else "no PNG or NIfTI mask"
        raise InputError(f"{reference} holds {found}; masks of one kind are needed")
    (kind,) = kinds
    pairs = _paired(wanted, {key: file for key, file in _masks(prediction).items() if key[1] == kind})
    scores, failed, controls, clean = dict[str, float](), dict[str, str](), 0, 0
    matches: list[tuple[LesionMatch, float]] = []  # and the size of a pixel or voxel
    for name, (reference_file, prediction_file) in sorted(pairs.items()):
        try:
            if prediction_file is None:
                raise InputError("there is no prediction")
            true, found_mask, side = _read_pair(reference_file, prediction_file, kind)
        except (InputError, OSError) as error:
            failed[name] = str(error)
            continue
        scores[name] = dice_score(true, found_mask)
        matches.append((match_lesions(true, found_mask), side))
        if not true.any():
            controls += 1
            clean += not found_mask.any()
    patients = [score for score, (match, _) in zip(scores.values(), matches, strict=True) if match.reference_area.size]
    return Evaluation(_interval(patients), _by_size(matches, kind), controls, clean, scores, failed)


def _masks(path: Path) -> dict[tuple[str, MaskKind], Path]:
    """Mask files by name and kind."""
    if not path.is_dir():
        kind = file_kind(path) if path.is_file() else None
        if kind not in ("image", "nifti"):
            raise InputError(f"{path} is neither a folder nor a PNG or NIfTI mask")
        return {("mask", "image" if kind == "image" else "nifti"): path}
    found: dict[tuple[str, MaskKind], Path] = {}
    by_kind = files_by_kind(path)
    kinds: tuple[MaskKind, MaskKind] = ("image", "nifti")
    for kind in kinds:
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


def _paired(
    reference: dict[tuple[str, MaskKind], Path], prediction: dict[tuple[str, MaskKind], Path]
) -> dict[str, tuple[Path, Path | None]]:
    wanted, found = ({name: file for (name, _), file in masks.items()} for masks in (reference, prediction))
    if wanted.keys() & found.keys():
        return {name: (file, found.get(name)) for name, file in wanted.items()}
    numbered = {number: file for name, file in found.items() if (number := _number(name))}
    pairs = {name: (file, numbered.get(_number(name))) for name, file in wanted.items()}
    numbers_repeat = len(numbered) < len(found) or len({_number(name) for name in wanted}) < len(wanted)
    if numbers_repeat or all(file is None for _, file in pairs.values()):
        examples = f"{min(wanted)} and {min(found, default='none')}"
        raise InputError(f"no mask has the same name on both sides, such as {examples}")
    return pairs


def _number(name: str) -> str:
    """The number at the end of a name; empty where there is none."""
    found = re.search(r"\d+$", name)
    return found.group().lstrip("0") or "0" if found else ""


def _read_pair(
    reference: Path, prediction: Path, kind: MaskKind
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], float]:
    """Two masks of one grid, and the size of a pixel (1 px) or voxel (in ml)."""
    if kind == "image":
        true, found = (decode_image(file.read_bytes())[:, :, 0] > 127 for file in (reference, prediction))
        side = 1.0
    else:
        from mipseg.io.nifti import read_nifti  # noqa: PLC0415 # an extra

        grids = [read_nifti(file) for file in (reference, prediction)]
        true, found = (grid.array != 0 for grid in grids)
        side = float(abs(np.linalg.det(grids[0].affine[:3, :3]))) / 1000
    if true.shape != found.shape:
        raise VolumeError(f"the shapes differ: reference {true.shape}, prediction {found.shape}")
    if kind == "nifti" and not np.allclose(grids[0].affine, grids[1].affine, atol=_MAX_SHIFT_MM, rtol=0):
        raise VolumeError("reference and prediction lie at different places")
    return true, found, side


def _interval(scores: Sequence[float]) -> Interval:
    if len(scores) < 2:
        return Interval(scores[0] if scores else None, None, None, len(scores))
    from scipy import stats  # noqa: PLC0415 # takes a second, which the other commands need not wait for

    found = stats.bootstrap(
        (scores,), np.mean, confidence_level=CONFIDENCE, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(float(np.mean(scores)), float(found.low), float(found.high), len(scores))


def _by_size(matches: Sequence[tuple[LesionMatch, float]], kind: MaskKind) -> tuple[SizeRow, ...]:
    edges = SIZES[kind]
    rows = []
    for low, high in zip(edges, (*edges[1:], np.inf), strict=True):
        counts = np.zeros(4, int)
        for match, side in matches:
            for place, areas, hits in (
                (0, match.reference_area, match.found),
                (2, match.prediction_area, match.true),
            ):
                inside = (areas * side >= low) & (areas * side < high)
                counts[place : place + 2] += int(inside.sum()), int((inside & hits).sum())
        size = f"{low:g}-{high:g} {UNITS[kind]}" if np.isfinite(high) else f"from {low:g} {UNITS[kind]}"
        rows.append(SizeRow(size, *(int(count) for count in counts)))
    return tuple(rows)
