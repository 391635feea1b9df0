"""The film of a volume that turns, as two pictures of all its frames."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from mipseg.io.volume import Volume
from mipseg.io.write import write_png
from mipseg.measure.lesions_3d import Labels
from mipseg.rotation import ANGLES, FRAMES, LAST_NUMBER, rotate

INTENSITY, LESIONS = "rotation.png", "rotation_lesions.png"
COLUMNS = 6  # of frames in a picture
# Distinguishable with the common colour-vision deficiencies (Okabe and Ito 2008); lesion 1 has the first.
COLOURS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))


def write_rotation(folder: Path, volume: Volume, labels: Labels, window_top: float) -> dict[str, Any]:
    """Write both pictures.

    Args:
        folder: where they go.
        volume: the input.
        labels: (Z, Y, X), each lesion's number, 0 outside.
        window_top: the value that is shown as black.

    Returns:
        What `measurements.json` says of their layout. Frame i lies in row i // columns and column i % columns; angle i,
        counted from the front by way of the patient's left, is frame i, and from the back on frame i - frames,
        mirrored.
    """
    rotation = rotate(volume, labels, window_top)
    write_png(folder / INTENSITY, 255 - _sheet(rotation.intensity))
    picture = PillowImage.fromarray(_sheet(rotation.lesions))
    picture.putpalette([0, 0, 0, *np.resize(COLOURS, (LAST_NUMBER, 3)).ravel().tolist()])
    picture.save(folder / LESIONS, "PNG", transparency=0)
    _, height, width = rotation.intensity.shape
    return {
        "angles": ANGLES,
        "frames": FRAMES,
        "columns": COLUMNS,
        "frame_px": [height, width],
        "pixel_mm": rotation.pixel_mm,
        "colours": COLOURS,
    }


def _sheet(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """All frames (N, H, W) in one picture, row by row."""
    _, height, width = frames.shape
    rows = frames.reshape(-1, COLUMNS, height, width).transpose(0, 2, 1, 3)
    return rows.reshape(-1, COLUMNS * width)
