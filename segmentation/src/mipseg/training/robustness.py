"""Robustness: how Dice changes when images differ from those of the training in known ways.

Every patient is predicted by the networks of the fold, which never saw it, decoded with the shipped choices.
"""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from rich.progress import track

from mipseg.errors import DatasetError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.dataset import Case
from mipseg.metrics import dice_score
from mipseg.model.classify import Classifier, features
from mipseg.model.postprocess import binarise_if_patient
from mipseg.training.checkpoint import load_ema_network
from mipseg.training.network import UNet
from mipseg.training.predict import predict
from mipseg.training.runs import Run
from mipseg.training.scores import bootstrap_interval
from mipseg.training.split import Split
from mipseg.types import BinaryMask, GreyImage

DATA_TOP_SUV = 6.0  # about where the data set's images saturate
# (H, W) image and reference -> the same of the shifted image, on its own grid.
Shift = Callable[[GreyImage, BinaryMask, np.random.Generator], tuple[GreyImage, BinaryMask]]


def _unchanged(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
    return image, mask


def _window(top: float) -> Shift:
    """Another top of the SUV window; above the data's, saturated pixels turn paler, since what they were is lost."""

    def shift(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        intensity = (255.0 - image) * DATA_TOP_SUV / top
        return (255 - np.minimum(intensity, 255).round()).astype(np.uint8), mask

    return shift


def _rescaled(factor: float) -> Shift:
    """Other pixels: the image bilinear (averaged when smaller), the reference by nearest neighbour."""

    def shift(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        height, width = (round(side * factor) for side in image.shape)
        resized = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR)
        reference = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.NEAREST)
        return np.asarray(resized), np.asarray(reference)

    return shift


def _mirrored(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
    return image[:, ::-1], mask[:, ::-1]


def _jpeg(quality: int) -> Shift:
    def shift(image: GreyImage, mask: BinaryMask, _: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        buffer = io.BytesIO()
        PillowImage.fromarray(image).save(buffer, "JPEG", quality=quality)
        return np.asarray(PillowImage.open(buffer)), mask

    return shift


def _noisy(sigma: float) -> Shift:
    """Gaussian noise, sigma in grey values of 255."""

    def shift(image: GreyImage, mask: BinaryMask, rng: np.random.Generator) -> tuple[GreyImage, BinaryMask]:
        return np.clip(image + rng.normal(0, sigma, image.shape).round(), 0, 255).astype(np.uint8), mask

    return shift


SHIFTS: dict[str, Shift] = {
    "none": _unchanged,
    **{f"SUV window to {top:g} instead of {DATA_TOP_SUV:g}": _window(top) for top in (4, 5, 8, 10)},
    **{f"rescaled by {factor:g}": _rescaled(factor) for factor in (0.8, 1.25)},
    "mirrored": _mirrored,
    "JPEG of quality 75": _jpeg(75),
    **{f"noise of {sigma} grey values": _noisy(sigma) for sigma in (5, 10)},
}


def measure_robustness(run: Run, split: Split, device: torch.device) -> str:
    """Measure every shift on every patient and write `shifts.json` into the run's folder.

    Args:
        run: with each fold's checkpoint and `report.json`.
        split: the data set; its patients are taken.
        device: where to predict.

    Returns:
        The result as a Markdown table.

    Raises:
        DatasetError: the run was not evaluated yet.
        ModelError: a fold was not trained yet.
    """
    if not (run.folder / "report.json").is_file():
        raise DatasetError(f"{run.folder / 'report.json'} is missing; run `evaluate` first")
    choices: dict[str, Any] = json.loads((run.folder / "report.json").read_text())["choices"]
    folder, folds = run.folder, split.folds
    patients = [case for case in split.cases if case.has_tumour]
    members = [
        [load_ema_network(m.fold_folder(fold), m.identity(split, fold)).to(device) for m in run.members]
        for fold in range(split.count)
    ]
    dice = np.array(
        [
            [_dice(shift, case, members[folds[case.id]], choices, device) for shift in SHIFTS.values()]
            for case in track(patients, "robustness")
        ]
    )  # (patients, shifts)
    report = {
        name: {
            "dice": float(dice[:, column].mean()),
            "difference": float((dice[:, column] - dice[:, 0]).mean()),
            "interval_95": bootstrap_interval(dice[:, column] - dice[:, 0]),  # of the difference; paired
        }
        for column, name in enumerate(SHIFTS)
    }
    (folder / "shifts.json").write_text(json.dumps(report, indent=1) + "\n")
    return _table(report)


def _dice(shift: Shift, case: Case, networks: Sequence[UNet], choices: dict[str, Any], device: torch.device) -> float:
    # The same noise for a case, however many others there are.
    image, reference = shift(case.image, case.mask, np.random.default_rng(list(case.id.encode())))
    probability, logit = predict(networks, intensity_of_image(image), device)
    patient = Classifier(**choices["classifier"]).probability(features(probability, logit))
    decoding = (choices[name] for name in ("temperature", "min_peak", "min_patient"))
    return dice_score(reference, binarise_if_patient(probability, patient, *decoding))


def _table(report: dict[str, dict[str, Any]]) -> str:
    lines = ["| Image | Dice, mean | Difference (95 %) |", "|---|---|---|"]
    for name, result in report.items():
        low, high = result["interval_95"]
        difference = f"{result['difference']:+.3f} ({low:+.3f} to {high:+.3f})" if name != "none" else ""
        lines.append(f"| {name} | {result['dice']:.3f} | {difference} |")
    return "\n".join(lines) + "\n"
