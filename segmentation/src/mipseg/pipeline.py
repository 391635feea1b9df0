"""One input, one result: the only place that puts the steps together.

Command line, HTTP and the library all call these functions, so they agree.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.checks import check_intensity, check_spacing, input_warnings
from mipseg.errors import ImageError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.codec import decode_image
from mipseg.measure.lesions_2d import Lesion, measure_lesions
from mipseg.model.postprocess import to_mask
from mipseg.model.segmenter import Segmenter
from mipseg.types import BinaryMask, Mask, Probability, Spacing


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that is known about an image.

    Attributes:
        tumour: (H, W) bool.
        probability: (H, W) float32 in [0, 1], of each pixel.
        has_tumour: probability that the image shows a tumour anywhere, calibrated by cross-validation.
        lesions: the components of `tumour`, largest first.
        warnings: reasons to doubt that the image is a MIP-PET; see `input_warnings`.
    """

    tumour: BinaryMask
    probability: Probability
    has_tumour: float
    lesions: list[Lesion]
    warnings: list[str]

    @property
    def mask(self) -> Mask:
        """(H, W, 3) uint8: 255 where there is tumour, else 0."""
        return to_mask(self.tumour)

    @property
    def label(self) -> str:
        """`tumor` or `healthy`, whichever is more probable."""
        return "tumor" if self.has_tumour >= 0.5 else "healthy"


def analyze(intensity: npt.NDArray[Any], segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """Segment, classify and measure.

    Args:
        intensity: (H, W) float in [0, 1], air 0.
        segmenter: the model.
        spacing: millimetres between rows and between columns, if known.

    Raises:
        ArgumentError: an array or a spacing of another kind.
        ModelError: the model can't be loaded.
    """
    check_spacing(spacing)
    intensity = check_intensity(intensity)
    tumour, probability, has_tumour = segmenter.segment(intensity)
    lesions = measure_lesions(tumour, intensity, probability, spacing)
    return Result(tumour, probability, has_tumour, lesions, input_warnings(intensity))


def analyze_image(image: npt.NDArray[Any], segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """`analyze` for an image: uint8 or uint16, air white; see `intensity_of_image`."""
    return analyze(intensity_of_image(image), segmenter, spacing)


def analyze_file(file: Path | str, segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """`analyze` for a PNG or JPEG file.

    Raises:
        ImageError: it can't be read.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ImageError(f"can't read {file}: {error.strerror}") from error
    return analyze_image(decode_image(content), segmenter, spacing)


def segment_image(image: npt.NDArray[Any], segmenter: Segmenter) -> Mask:
    """The mask alone of an image.

    Args:
        image: (H, W, 3) uint8, air 255; and what else `intensity_of_image` takes.
        segmenter: the model.

    Returns:
        (H, W, 3) uint8: 255 where there is tumour, else 0.
    """
    return to_mask(segmenter.segment(intensity_of_image(image)).tumour)


def warnings_of_image(image: npt.NDArray[np.uint8]) -> list[str]:
    """Reasons to doubt that an image is a MIP-PET; see `input_warnings`."""
    return input_warnings(intensity_of_image(image))
