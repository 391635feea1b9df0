import numpy as np
import pytest

from mipseg.measure.lesions_2d import measure_lesions
from mipseg.types import BinaryMask, Intensity, Probability

Arrays = tuple[BinaryMask, Intensity, Probability]


@pytest.fixture
def image() -> Arrays:
    tumour = np.zeros((10, 12), bool)
    tumour[1:3, 2:6] = True  # 8 px
    tumour[7, 9] = True  # 1 px
    intensity = np.where(tumour, 0.5, 0.1).astype(np.float32)
    intensity[1, 2] = 1.0
    probability = np.where(tumour, 0.8, 0.0).astype(np.float32)
    probability[2, 5] = 0.4
    return tumour, intensity, probability


def test_numbers_worked_out_by_hand(image: Arrays) -> None:
    first, second = measure_lesions(*image)
    assert (first.id, first.area_px, first.bbox, first.centroid) == (1, 8, (1, 2, 3, 6), (1.5, 3.5))
    assert first.mean_intensity == pytest.approx((7 * 0.5 + 1.0) / 8)
    assert first.probability == pytest.approx((7 * 0.8 + 0.4) / 8)
    assert (second.id, second.area_px, second.bbox, second.centroid) == (2, 1, (7, 9, 8, 10), (7.0, 9.0))


def test_pixels_that_touch_at_a_corner_are_one_lesion(image: Arrays) -> None:
    tumour, intensity, probability = image
    tumour[3, 6] = True
    assert [lesion.area_px for lesion in measure_lesions(tumour, intensity, probability)] == [9, 1]


def test_area_in_mm2_needs_a_spacing(image: Arrays) -> None:
    assert [lesion.area_mm2 for lesion in measure_lesions(*image)] == [None, None]
    assert [lesion.area_mm2 for lesion in measure_lesions(*image, (2.0, 1.5))] == [24.0, 3.0]


def test_empty_mask_has_no_lesions(image: Arrays) -> None:
    tumour, intensity, probability = image
    assert measure_lesions(np.zeros_like(tumour), intensity, probability) == []
