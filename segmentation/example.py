"""Plug your own model in here: `predict` is the one function that you edit.

`uv run python example.py` runs it on a sample, prints the Dice and saves a figure. The running service (`make api`)
picks up every change of this file by itself.
"""

from pathlib import Path

import numpy as np

from mipseg.command import errors_in_one_line
from mipseg.io.dataset import sample_case
from mipseg.model.segmenter import load_segmenter
from mipseg.pipeline import segment_image
from mipseg.settings import Settings
from mipseg.types import Image, Mask
from utils import decode_request, dice_score, encode_request, plot_prediction, validate_segmentation

FIGURE = Path(__file__).with_name("prediction.png")


def predict(img: Image) -> Mask:
    """Segment the tumours of a MIP-PET.

    Args:
        img: (H, W, 3) uint8, three equal channels; air is 255 (white), the hottest 0 (black).

    Returns:
        (H, W, 3) uint8: white (255) where there is tumour, else black (0).
    """
    # To compare with the baseline, make this line: return get_threshold_segmentation(img, 50)
    return segment_image(img, load_segmenter())


def predict_tumor_segmentation(img: str) -> str:
    """`predict` from base64 to base64, as some earlier starter kits call it."""
    return encode_request(predict(decode_request(img)))


def get_threshold_segmentation(img: Image, threshold: int) -> Mask:
    """Call everything hot a tumour: white where `img < threshold`. Brain, bladder and heart are hot as well."""
    return np.where(img < threshold, 255, 0).astype(np.uint8)


def main() -> None:
    """Predict a sample, print its Dice and save the figure."""
    case = sample_case(Settings())
    img = np.repeat(case.image[:, :, None], 3, axis=2)
    mask = predict(img)
    validate_segmentation(img, mask)
    plot_prediction(case.image, case.mask, mask[:, :, 0] == 255, FIGURE)
    print(f"{case.id}: Dice {dice_score(case.mask, mask[:, :, 0]):.3f}, figure in {FIGURE.name}")


if __name__ == "__main__":
    with errors_in_one_line():
        main()
