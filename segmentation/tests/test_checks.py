from typing import Any

import numpy as np
import pytest

from mipseg.checks import validate_segmentation
from mipseg.errors import SegmentationError

IMAGE = np.full((4, 5, 3), 255, np.uint8)


def mask(**pixels: Any) -> Any:
    found = np.zeros((4, 5, 3), np.uint8)
    found[1, 2] = pixels.get("at", 255)
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_good_masks_of_any_number_type_pass(dtype: type) -> None:
    for good in (mask(), np.zeros_like(IMAGE), np.full_like(IMAGE, 255)):
        validate_segmentation(IMAGE, good.astype(dtype))


@pytest.mark.parametrize(("bad", "message"), [
    (None, "NumPy array, not NoneType"),
    ([[[0, 0, 0]]], "NumPy array, not list"),
    (mask()[1:], r"shape is \(3, 5, 3\), but the image's is \(4, 5, 3\)"),
    (mask()[:, :, 0], r"shape is \(4, 5\)"),
    (mask()[:, :, :1], r"shape is \(4, 5, 1\)"),
    (np.zeros((4, 5, 4), np.uint8), r"shape is \(4, 5, 4\)"),
    (mask().transpose(1, 0, 2), r"shape is \(5, 4, 3\)"),
    (mask(at=254), "3 values are others, such as 254"),
    (mask(at=1), "such as 1"),
    (mask() > 0, "3 values are others, such as True"),
    (mask().astype(float) * np.nan, "60 values are others, such as nan"),
    (-mask().astype(int), "such as -255"),
    (mask(at=(255, 0, 0)), "three channels must be equal"),
    (mask(at=(0, 0, 255)), "three channels must be equal"),
    (mask().astype(str), "numbers"),
    (mask().astype(object), "numbers"),
    (mask().astype(complex), "numbers"),
    (mask().astype("datetime64[s]"), "numbers"),
])  # fmt: skip
def test_a_bad_mask_is_refused_with_what_is_wrong(bad: Any, message: str) -> None:
    with pytest.raises(SegmentationError, match=message):
        validate_segmentation(IMAGE, bad)


def test_a_grey_image_with_a_grey_mask_is_refused() -> None:
    with pytest.raises(SegmentationError, match=r"must be \(H, W, 3\)"):
        validate_segmentation(IMAGE[:, :, 0], mask()[:, :, 0])
