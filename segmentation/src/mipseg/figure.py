"""The figure of one prediction: image, reference, prediction, and where they agree."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.metrics import dice_score
from mipseg.types import BinaryMask, GreyImage

# Distinguishable with the common colour-vision deficiencies (Okabe and Ito 2008).
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (0, 158, 115), (213, 94, 0), (86, 180, 233)


def agreement_image(mip: GreyImage, reference: BinaryMask, prediction: BinaryMask) -> npt.NDArray[np.uint8]:
    """Colour an image by agreement.

    Args:
        mip: (H, W) uint8.
        reference: (H, W) bool.
        prediction: (H, W) bool.

    Returns:
        (H, W, 3) uint8: the image in light grey, true positives green, false positives orange, false negatives blue.
    """
    colours = np.repeat((128 + mip // 2)[:, :, None], 3, axis=2)
    colours[reference & prediction] = TRUE_POSITIVE
    colours[~reference & prediction] = FALSE_POSITIVE
    colours[reference & ~prediction] = FALSE_NEGATIVE
    return colours


def _channel(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return image[:, :, 0] if image.ndim == 3 else image


def plot_prediction(
    mip: npt.NDArray[np.uint8], reference: npt.NDArray[Any], prediction: npt.NDArray[Any], file: Path
) -> None:
    """Save the figure as PNG: MIP, reference, prediction, TP/FP/FN with a legend, and the Dice in the title.

    Args:
        mip: the image, uint8, air = 255; (H, W), or (H, W, 3), of which the first channel is taken.
        reference: (H, W) or (H, W, 3); non-zero is tumour.
        prediction: like reference.
        file: where to save.
    """
    # Here, not above: it takes a second, and the service imports this module by way of the starter kit.
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    grey, true, found = _channel(mip), _channel(reference) != 0, _channel(prediction) != 0
    height, width = grey.shape
    figure = Figure(figsize=(12, max(3.0, 3 * height / width + 0.8)), layout="constrained")
    panels = {
        "MIP": grey,
        "Reference": true,
        "Prediction": found,
        "Agreement": agreement_image(grey, true, found),
    }
    for axes, (title, image) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axes.set_title(title)
        axes.set_axis_off()
    names = {"true positive": TRUE_POSITIVE, "false positive": FALSE_POSITIVE, "false negative": FALSE_NEGATIVE}
    handles = [Patch(color="#{:02x}{:02x}{:02x}".format(*colour), label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
    figure.suptitle(f"Dice {dice_score(true, found):.3f}")
    figure.savefig(file, dpi=100)
