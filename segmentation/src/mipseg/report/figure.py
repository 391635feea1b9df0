"""The figure of one prediction: image, reference, prediction, and where they agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.metrics import NEIGHBOURS, dice_score
from mipseg.types import BinaryMask, GreyImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Distinguishable with the common colour-vision deficiencies (Okabe and Ito 2008).
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (0, 158, 115), (213, 94, 0), (86, 180, 233)

_GAP = 4  # pixels between pictures
FILES_ONLY = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}  # Matplotlib's backends without a screen


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


def overlay_image(mip: GreyImage, tumour: BinaryMask) -> npt.NDArray[np.uint8]:
    """Show a mask on its image.

    Args:
        mip: (H, W) uint8.
        tumour: (H, W) bool.

    Returns:
        (H, W, 3) uint8: the image, tinted orange where there is tumour, whose edge is drawn around it.
    """
    colours = np.repeat(mip[:, :, None], 3, axis=2)
    colours[tumour] = (colours[tumour] + np.array(FALSE_POSITIVE)) // 2
    colours[ndimage.binary_dilation(tumour, NEIGHBOURS) & ~tumour] = FALSE_POSITIVE
    return colours


def side_by_side(mip: GreyImage, reference: BinaryMask, prediction: BinaryMask | None) -> npt.NDArray[np.uint8]:
    """Image, reference, prediction and their agreement beside each other.

    Args:
        mip: (H, W) uint8.
        reference: (H, W) bool.
        prediction: (H, W) bool; None: there is none, and the last two pictures are left out.

    Returns:
        (H, 4 W + gaps, 3) uint8.
    """
    masks = [reference] if prediction is None else [reference, prediction]
    pictures = [np.repeat(grey[:, :, None], 3, axis=2) for grey in (mip, *(_shown(mask) for mask in masks))]
    if prediction is not None:
        pictures.append(agreement_image(mip, reference, prediction))
    gap = np.full((mip.shape[0], _GAP, 3), 128, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=1)


def _shown(mask: BinaryMask) -> GreyImage:
    return np.where(mask, 0, 255).astype(np.uint8)  # tumour is dark, as in the image


def _channel(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return image[:, :, 0] if image.ndim == 3 else image


def plot_prediction(
    mip: npt.NDArray[np.uint8], seg: npt.NDArray[Any], seg_pred: npt.NDArray[Any], file: Path | str | None = None
) -> None:
    """Draw MIP, reference, prediction, TP/FP/FN with a legend, and the Dice in the title.

    Without a file, the figure is shown where there is a screen or a notebook, and the Dice is printed.

    Args:
        mip: the image, uint8, air = 255; (H, W), or (H, W, 3), of which the first channel is taken.
        seg: the reference, (H, W) or (H, W, 3); non-zero is tumour.
        seg_pred: the prediction, like the reference.
        file: where to save it as PNG; None: show it.
    """
    # Here, not above: it takes a second, and the service imports this module by way of the starter kit.
    from matplotlib.figure import Figure  # noqa: PLC0415

    grey, reference, prediction = _channel(mip), _channel(seg) != 0, _channel(seg_pred) != 0
    size = (12, max(3.0, 3 * grey.shape[0] / grey.shape[1] + 0.8))
    if file is not None:
        figure = Figure(size, layout="constrained")
        _draw(figure, grey, reference, prediction)
        figure.savefig(file, dpi=100)
        return
    print(f"Dice Score: {dice_score(reference, prediction)}")  # noqa: T201  # as earlier starter kits do
    if _can_show():
        from matplotlib import pyplot  # noqa: PLC0415

        _draw(pyplot.figure(figsize=size, layout="constrained"), grey, reference, prediction)
        pyplot.show()


def _can_show() -> bool:
    """Whether Matplotlib has a screen or a notebook to draw on."""
    from matplotlib import pyplot  # noqa: PLC0415

    return pyplot.get_backend().lower() not in FILES_ONLY


def _draw(figure: "Figure", grey: GreyImage, reference: BinaryMask, prediction: BinaryMask) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    panels = {
        "MIP": grey,
        "Reference": reference,
        "Prediction": prediction,
        "Agreement": agreement_image(grey, reference, prediction),
    }
    for axes, (title, image) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axes.set_title(title)
        axes.set_axis_off()
    names = {"true positive": TRUE_POSITIVE, "false positive": FALSE_POSITIVE, "false negative": FALSE_NEGATIVE}
    handles = [Patch(color="#{:02x}{:02x}{:02x}".format(*colour), label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
    figure.suptitle(f"Dice {dice_score(reference, prediction):.3f}")
