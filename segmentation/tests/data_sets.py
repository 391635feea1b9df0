"""A data set of four images of 40 x 40 pixels, laid out as the championship's."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mipseg.io.write import write_png

Box = tuple[int, int, int]  # first row, first column, side
HOT: dict[str, tuple[Box, ...]] = {
    "patients/imgs/patient_001": ((0, 0, 4),),
    "patients/imgs/patient_002": ((0, 0, 4), (30, 0, 4)),
    "controls/imgs/control_001": (),
    "controls/imgs/control_002": ((5, 5, 2),),
}


def squares(*boxes: Box) -> npt.NDArray[np.bool_]:
    mask = np.zeros((40, 40), bool)
    for row, column, side in boxes:
        mask[row : row + side, column : column + side] = True
    return mask


def write_dataset(root: Path) -> Path:
    """Write it; the tumour of both patients is the first square of what is hot, the rest is healthy."""
    for group in ("patients/imgs", "patients/labels", "controls/imgs"):
        (root / group).mkdir(parents=True)
    for name, hot in HOT.items():
        image = np.full((40, 40), 255, np.uint8)
        image[8:32, 8:32] = 200  # the body
        image[squares(*hot)] = 0
        write_png(root / f"{name}.png", image)
    for number in ("001", "002"):
        write_png(root / f"patients/labels/segmentation_{number}.png", squares((0, 0, 4)).astype(np.uint8) * 255)
    return root
