"""Weighted sums around every voxel, by FFT. `scipy.signal` has them too, but takes a second to import."""

import numpy as np
import numpy.typing as npt
from scipy import fft


def sum_around(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weighted sum of what lies around each voxel, itself in the middle; outside of the array is 0.

    Args:
        values: (Z, Y, X).
        weights: of the voxels around one, with odd sides.

    Returns:
        (Z, Y, X).
    """
    sides = [fft.next_fast_len(n + k - 1, real=True) for n, k in zip(values.shape, weights.shape, strict=True)]
    product = fft.rfftn(values, sides) * fft.rfftn(weights[::-1, ::-1, ::-1], sides)
    middle = tuple(slice(k // 2, k // 2 + n) for n, k in zip(values.shape, weights.shape, strict=True))
    return np.asarray(fft.irfftn(product, sides)[middle])
