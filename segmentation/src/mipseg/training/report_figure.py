"""The figure of the cross-validated report."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from mipseg.metrics import calibration_bins
from mipseg.training.model_selection import CrossValidation


def save_report_figure(file: Path, validation: CrossValidation) -> None:
    """Draw the Dice of the patients, Dice against tumour size, the ROC curve and the calibration curve.

    Args:
        file: PNG to write.
        validation: of patients and controls.
    """
    score, has_tumour = validation.score, validation.table.has_tumour
    dice, _ = validation.table.result(validation.selected)
    areas = [int(validation.answers[number].case.mask.sum()) for number in validation.patients]
    figure = Figure(figsize=(16, 4), layout="constrained")
    histogram, size, roc, calibration = figure.subplots(1, 4)
    histogram.hist(dice, np.linspace(0, 1, 21))
    histogram.axvline(float(dice.mean()), color="black", linestyle="--")
    histogram.set(xlabel="Dice", ylabel="patients", title=f"Dice: mean {dice.mean():.3f}, median {np.median(dice):.3f}")
    size.plot(areas, dice, ".")
    if any(areas):
        size.set_xscale("log")
    size.set(xlabel="tumour area of the reference (px)", ylabel="Dice", title="Dice and tumour size")
    false_positive_rate, sensitivity, _ = roc_curve(has_tumour, score)
    roc.plot(false_positive_rate, sensitivity)
    roc.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC: does the image show a tumour?")
    calibration.plot([0, 1], [0, 1], color="grey", linewidth=1)
    predicted, observed, counts = zip(*calibration_bins(score, has_tumour), strict=True)
    calibration.plot(predicted, observed, "o-")
    for x, y, count in zip(predicted, observed, counts, strict=True):
        calibration.annotate(str(count), (x, y), (6, -3), textcoords="offset points", va="top")
    calibration.set(
        xlabel="predicted probability of a tumour", ylabel="share with a tumour", title="Calibration, cases per bin"
    )
    figure.savefig(file, dpi=100)
