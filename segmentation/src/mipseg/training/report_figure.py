"""The figure of the cross-validated report."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from mipseg.training.scores import Truth, Vector, reliability


def save_report_figure(
    file: Path, dice: Vector, areas: npt.NDArray[np.int64], score: Vector, has_tumour: Truth
) -> None:
    """Draw the Dice of the patients, Dice against tumour size, the ROC curve and the reliability curve.

    Args:
        file: PNG to write.
        dice: (P,) Dice of each patient.
        areas: (P,) reference area of each patient in pixels.
        score: (N,) probability of being a patient, patients and controls.
        has_tumour: (N,) truth.
    """
    figure, (histogram, size, roc, calibration) = plt.subplots(1, 4, figsize=(16, 4), layout="constrained")
    histogram.hist(dice, np.linspace(0, 1, 21))
    histogram.axvline(float(dice.mean()), color="black", linestyle="--")
    histogram.set(xlabel="Dice", ylabel="patients", title=f"Dice: mean {dice.mean():.3f}, median {np.median(dice):.3f}")
    size.semilogx(areas, dice, ".")
    size.set(xlabel="tumour area (px)", ylabel="Dice", title="Dice and tumour size")
    cuts = np.sort(score)[::-1, None]
    roc.plot((score[~has_tumour] >= cuts).mean(1), (score[has_tumour] >= cuts).mean(1))
    roc.set(xlabel="1 - specificity", ylabel="sensitivity", title="Patient or control")
    calibration.plot([0, 1], [0, 1], color="grey", linewidth=1)
    predicted, observed, counts = zip(*reliability(score, has_tumour), strict=True)
    calibration.plot(predicted, observed, "o-")
    for x, y, count in zip(predicted, observed, counts, strict=True):
        calibration.annotate(str(count), (x, y), (6, -3), textcoords="offset points", va="top")
    calibration.set(xlabel="predicted probability", ylabel="share of patients", title="Reliability, with cases per bin")
    figure.savefig(file, dpi=100)
    plt.close(figure)
