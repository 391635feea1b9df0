"""Weighted sums by FFT are those that a loop over the weights gives."""

import numpy as np
import pytest
from scipy import ndimage

from mipseg.measure.surroundings import sum_around


@pytest.mark.parametrize("sides", [(3, 5, 1), (1, 1, 1), (7, 3, 5)])
def test_sums_of_what_lies_around(sides: tuple[int, int, int]) -> None:
    draw = np.random.default_rng(0)
    values, weights = draw.uniform(size=(6, 5, 7)), draw.uniform(size=sides)
    wanted = ndimage.correlate(values, weights, mode="constant")
    np.testing.assert_allclose(sum_around(values, weights), wanted, atol=1e-12)
