"""One input, one result: the only place that puts the steps together.

Command line, HTTP and the library all call these functions, so they agree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mipseg.checks import check_intensity, check_spacing
from mipseg.constants import MAX_PIXELS
from mipseg.errors import ImageError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.codec import Decoded, decode
from mipseg.io.mask_png import check_is_no_mask
from mipseg.measure.lesions_2d import Lesion, measure_lesions
from mipseg.model.postprocess import to_mask
from mipseg.model.segmenter import Segmentation, Segmenter
from mipseg.repair import InputWarning, Repaired, doubts, judge, repair
from mipseg.types import BinaryMask, Intensity, Mask, Probability, Spacing

# What may be said of an image that is not repaired.
_OF_ANY_MODEL = frozenset({
    InputWarning.SEVERAL_BODIES, InputWarning.PART_OF_BODY, InputWarning.NO_AIR, InputWarning.NOISE, InputWarning.SMALL,
})  # fmt: skip
Noted: TypeAlias = list[tuple[InputWarning, ...]]
"""The warnings of each image that the built-in model has segmented."""
_noted: ContextVar[Noted | None] = ContextVar("noted", default=None)


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that is known about an image.

    Attributes:
        tumour: (H, W) bool.
        probability: (H, W) float32 in [0, 1], of each pixel.
        seen: (H, W) float32 in [0, 1], air 0: the image after what was repaired, as the networks saw it.
        has_tumour: probability that the image shows a tumour anywhere, calibrated by cross-validation.
        threshold: the operating point: where `has_tumour` is below it, the mask is empty.
        lesions: the components of `tumour`, largest first.
        warnings: what was repaired and what is doubtful; `mipseg.repair.PLAIN` has the words.
    """

    tumour: BinaryMask
    probability: Probability
    seen: Intensity
    has_tumour: float
    threshold: float
    lesions: list[Lesion]
    warnings: tuple[InputWarning, ...]

    @property
    def mask(self) -> Mask:
        """(H, W, 3) uint8: 255 where there is tumour, else 0."""
        return to_mask(self.tumour)

    @property
    def label(self) -> str:
        """`tumor` where there is any in the mask, else `healthy`: one operating point decides both."""
        return "tumor" if self.tumour.any() else "healthy"


def analyze(intensity: npt.NDArray[Any], segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """Repair what can be repaired, segment, classify and measure.

    Args:
        intensity: (H, W) float in [0, 1], air 0.
        segmenter: the model.
        spacing: millimetres between rows and between columns, if known; the image is then brought to the pitch of the
            training, and the mask back.

    Raises:
        ArgumentError: an array or a spacing of another kind.
        ModelError: the model can't be loaded.
    """
    check_spacing(spacing)
    repaired, (tumour, probability, has_tumour), warnings = _segment(check_intensity(intensity), segmenter, spacing)
    tumour, probability, seen = (repaired.restore(part) for part in (tumour, probability, repaired.intensity))
    lesions = measure_lesions(tumour, seen, probability, spacing)
    return Result(tumour, probability, seen, has_tumour, segmenter.config.min_patient, lesions, warnings)


def _segment(
    intensity: Intensity, segmenter: Segmenter, spacing: Spacing | None = None
) -> tuple[Repaired, Segmentation, tuple[InputWarning, ...]]:
    """Repair and segment; the answer is that of the repaired image, empty where it shows no body."""
    repaired = repair(intensity, spacing)
    if repaired.has_body:
        segmentation = segmenter.segment(repaired.intensity)
    else:
        shape = repaired.intensity.shape
        segmentation = Segmentation(np.zeros(shape, bool), np.zeros(shape, np.float32), 0.0)
    warnings = (*repaired.warnings, *doubts(repaired.intensity, segmentation.tumour))
    if (noted := _noted.get()) is not None:
        noted.append(warnings)
    return repaired, segmentation, warnings


def analyze_image(image: npt.NDArray[Any], segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """`analyze` for an image: uint8 or uint16, air white; see `intensity_of_image`."""
    return analyze(intensity_of_image(image), segmenter, spacing)


def analyze_bytes(
    data: bytes, segmenter: Segmenter, spacing: Spacing | None = None, max_pixels: int = MAX_PIXELS
) -> Result:
    """`analyze` for the content of a PNG or JPEG file.

    Raises:
        ImageError: it is damaged, coloured, a mask, or not one that is accepted; see `mipseg.io.codec`.
        ImageTooLargeError: it has more than `max_pixels`.
    """
    decoded = decode(data, max_pixels)
    check_is_no_mask(decoded.image)
    result = analyze_image(decoded.image, segmenter, spacing)
    return replace(result, warnings=(*_depth_warning(decoded), *result.warnings))


def analyze_file(file: Path | str, segmenter: Segmenter, spacing: Spacing | None = None) -> Result:
    """`analyze` for a PNG or JPEG file.

    Raises:
        ImageError: it can't be read; and see `analyze_bytes`.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ImageError(f"can't read {file}: {error.strerror}") from error
    return analyze_bytes(content, segmenter, spacing)


def segment_image(image: npt.NDArray[Any], segmenter: Segmenter) -> Mask:
    """The mask alone of an image.

    Args:
        image: (H, W, 3) uint8, air 255; and what else `intensity_of_image` takes.
        segmenter: the model.

    Returns:
        (H, W, 3) uint8: 255 where there is tumour, else 0.
    """
    repaired, segmentation, _ = _segment(intensity_of_image(image), segmenter)  # lesions are not measured
    return to_mask(repaired.restore(segmentation.tumour))


@contextmanager
def noting_warnings() -> Iterator[Noted]:
    """Note what is repaired and doubted meanwhile, in this thread: `segment_image` gives back a mask alone."""
    noted: Noted = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def warnings_about(decoded: Decoded, mask: Mask, noted: Noted) -> tuple[InputWarning, ...]:
    """What is unusual about an image and its mask, whoever made the mask; see `mipseg.repair`.

    Args:
        decoded: the image.
        mask: (H, W, 3) uint8, 255 where there is tumour.
        noted: while the mask was made; empty where the built-in model had no part in it, so that nothing was repaired.
    """
    intensity = intensity_of_image(decoded.image)
    said = chain.from_iterable(noted) if noted else (code for code in judge(intensity) if code in _OF_ANY_MODEL)
    of_mask = doubts(intensity, mask[:, :, 0] != 0)
    return tuple(dict.fromkeys((*_depth_warning(decoded), *said, *of_mask)))


def _depth_warning(decoded: Decoded) -> tuple[InputWarning, ...]:
    return () if decoded.bit_depth is None else (InputWarning.BIT_DEPTH,)
