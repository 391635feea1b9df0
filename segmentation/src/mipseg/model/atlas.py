"""The healthy body: what intensity is usual at each place, and where an image's places are. NumPy and SciPy only.

An atlas is the mean and the standard deviation of aligned healthy bodies at an eighth of the resolution. An image is
registered to it with a shift and a stretch along each axis, and gets the two as maps of its own shape. Brain, heart,
kidneys and bladder are hot in both the image and the mean; a tumour is hot in the image alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

MIN_DEVIATION = 0.05  # added to the standard deviation of healthy intensity: no place is exactly known
CELL = 8  # pixels per side of one cell of the atlas
SHAPE = 72, 44  # rows and columns of the atlas: head to thighs, arms at the sides
MIDDLE = (SHAPE[1] - 1) / 2
HEAD_ROWS = 2  # rows of air above the head
ROUNDS = 3  # of aligning bodies to their mean
STEPS = 12  # most Gauss-Newton steps of one registration
SMOOTHING = 1.0  # standard deviation, in cells, of the Gaussian that an image is smoothed with for its registration
# A weak prior for what the image says little about: log-stretches are 0 with a standard deviation of 0.1, if cells
# are off by 0.1.
PRIOR = np.array([0.0, 1.0, 0.0, 1.0])
MAX_LOG_STRETCH = 0.7  # as a log, shrinking or stretching
MIN_SHARE = 0.1  # of the atlas' rows; an image of fewer counts as one of so many
MIN_GAIN = 1e-4  # share of the cost; a smaller gain ends the registration
# Shift and log-stretch along the body, none and log-stretch across it, on top of `_start`.
STARTS = np.array(
    [
        [shift, along, 0, across]
        for shift in (-2.0, 0.0, 2.0)
        for along in (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2)
        for across in (-0.2, 0.0, 0.2)
    ]
)
TRIED = 3  # starts that are followed
MIRRORED = 0.95  # an image is taken for mirrored if that makes the misfit smaller by this factor
MAX_RESIDUAL = 3.0  # standard deviations of a cell that count as a misfit at most: a tumour says nothing about sides

ALL = slice(None)

AtlasGrid = npt.NDArray[np.float32]
# Where an atlas lies in an image: shift and log-stretch along the body, and the same across it. Along each axis
# image cell = shift + exp(log-stretch) * atlas cell; across the body, atlas cells count from the middle.
AxisTransform = npt.NDArray[np.float64]
# For each of N positions: the cell at or before it, the next one, and how far it is from the first to the second.
InterpolationWeights = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]


def make_atlas(bodies: Sequence[Intensity]) -> AtlasGrid:
    """Align healthy bodies to their mean, in rounds.

    Args:
        bodies: (H, W) intensity in [0, 1] each, windows matched; at least one.

    Returns:
        (2, 72, 44) float32: mean and standard deviation at each place.
    """
    cells = [_cells(body) for body in bodies]
    places = [_start(body) for body in cells]
    for _ in range(ROUNDS):
        mean = _statistics(cells, places)[0]
        places = [_register(body, mean, _start(body) + STARTS) for body in cells]
    return _statistics(cells, places)


def atlas_maps(intensity: Intensity, atlas: AtlasGrid, columns: slice = ALL) -> npt.NDArray[np.float32]:
    """Register an image to an atlas, or to the mirrored atlas if that clearly fits better.

    Args:
        intensity: (H, W) in [0, 1], window matched.
        atlas: (2, 72, 44), see `make_atlas`.
        columns: those of the image that maps are wanted for.

    Returns:
        (2, H, W) float32, of fewer columns if some were named: usual intensity and its standard deviation.
        Beyond the atlas' edges the edge goes on.
    """
    cells, mirrored = _cells(intensity), np.ascontiguousarray(atlas[:, :, ::-1])
    place = _register(cells, atlas[0], _start(cells) + STARTS)
    mirrored_place = _register(cells, mirrored[0], place[None])  # a body is nearly its own mirror image
    if _misfit(cells, mirrored, mirrored_place) < MIRRORED * _misfit(cells, atlas, place):
        atlas, place = mirrored, mirrored_place
    shift_y, stretch_y, shift_x, stretch_x = place
    y, x = (((np.arange(side) + 0.5) / CELL - 0.5) for side in intensity.shape)  # in cells
    down, across = (y - shift_y) / np.exp(stretch_y), (x[columns] - shift_x) / np.exp(stretch_x) + MIDDLE
    return _sample(atlas, _between(down, SHAPE[0]), _between(across, SHAPE[1]))


def _cells(intensity: Intensity) -> AtlasGrid:
    height, width = intensity.shape
    padded = np.pad(intensity, ((0, -height % CELL), (0, -width % CELL)))
    cells = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL)
    return np.asarray(cells.mean((1, 3)), np.float32)


def _start(body: AtlasGrid) -> AxisTransform:
    inside = np.flatnonzero((body > BODY_LEVEL).any(1))
    top = inside[0] - HEAD_ROWS if inside.size else 0
    across = body.sum(0) + 1e-9  # an empty image has its middle in the middle
    return np.array([top, 0, across @ np.arange(across.size) / across.sum(), 0], np.float64)


def _between(positions: npt.NDArray[np.float64], size: int) -> InterpolationWeights:
    """InterpolationWeights which of `size` cells N positions are; those beyond the edge are at the edge."""
    inside = np.clip(positions, 0, size - 1)
    lower = inside.astype(np.intp)
    return lower, np.minimum(lower + 1, size - 1), (inside - lower).astype(np.float32)


def _sample(cells: AtlasGrid, rows: InterpolationWeights, columns: InterpolationWeights) -> AtlasGrid:
    """Interpolate (..., h, w) cells linearly at N rows and M columns -> (..., N, M).

    As products with matrices of weights this would wake the threads of the BLAS library, which spin for a while after
    each product and slow the networks that follow.
    """
    lower, upper, part = columns
    low = cells[..., lower]
    cells = low + part * (cells[..., upper] - low)
    lower, upper, part = rows
    low = cells[..., lower, :]
    return np.asarray(low + part[:, None] * (cells[..., upper, :] - low))


def _sampling(
    shape: tuple[int, ...], place: AxisTransform
) -> tuple[InterpolationWeights, InterpolationWeights, AtlasGrid]:
    """Where the atlas' rows and columns are in an image; and (72, 1) whether the image has the row."""
    shift_y, stretch_y, shift_x, stretch_x = place
    y = shift_y + np.exp(stretch_y) * np.arange(SHAPE[0])
    x = shift_x + np.exp(stretch_x) * (np.arange(SHAPE[1]) - MIDDLE)
    inside = ((y > -0.5) & (y < shape[0] - 0.5))[:, None]
    return _between(y, shape[0]), _between(x, shape[1]), inside.astype(np.float32)


def _statistics(cells: Sequence[AtlasGrid], places: Sequence[AxisTransform]) -> AtlasGrid:
    total = np.zeros((3, *SHAPE))
    for body, place in zip(cells, places, strict=True):
        rows, columns, inside = _sampling(body.shape, place)
        aligned = _sample(body, rows, columns)
        total += inside * np.stack([np.ones_like(aligned), aligned, aligned**2])
    count = np.maximum(total[0], 1)
    mean = total[1] / count
    return np.stack([mean, np.sqrt(np.maximum(total[2] / count - mean**2, 0))]).astype(np.float32)


class _Fit:
    """How far an image is off from a mean where a place says that the atlas lies; to be made small."""

    def __init__(self, body: AtlasGrid, mean: AtlasGrid, place: AxisTransform) -> None:
        self.place = place
        self._sampling = rows, columns, inside = _sampling(body.shape, place)
        self.residual = (_sample(body, rows, columns) - mean) * inside
        # Per row that the image has: else pushing the atlas out of the image would be rewarded.
        share = max(float(inside.mean()), MIN_SHARE)
        self.cost = float((self.residual**2).sum()) / share + float(PRIOR @ place**2)

    def step(self, slopes: AtlasGrid, damping: float) -> AxisTransform:
        """The damped Gauss-Newton step from here, given the image's slopes along and across the body."""
        rows, columns, inside = self._sampling
        along, across = _sample(slopes, rows, columns) * inside
        from_top = np.exp(self.place[1]) * np.arange(SHAPE[0])[:, None]
        from_middle = np.exp(self.place[3]) * (np.arange(SHAPE[1]) - MIDDLE)
        jacobian = np.stack([along, along * from_top, across, across * from_middle]).reshape(4, -1).astype(np.float64)
        hessian = jacobian @ jacobian.T + np.diag(PRIOR)
        gradient = jacobian @ self.residual.ravel() + PRIOR * self.place
        damped = hessian + damping * np.diag(np.diag(hessian) + 1e-9)
        return np.asarray(np.linalg.solve(damped, -gradient), np.float64)


def _register(body: AtlasGrid, mean: AtlasGrid, starts: npt.NDArray[np.float64]) -> AxisTransform:
    """Least squares by Gauss-Newton steps, damped as Levenberg and Marquardt do, from the best of (N, 4) places."""
    smooth = ndimage.gaussian_filter(body, SMOOTHING)
    edged = np.pad(smooth, 1, "reflect", reflect_type="odd")  # np.gradient, but images of one cell have one, too
    slopes = np.stack([(edged[2:, 1:-1] - edged[:-2, 1:-1]) / 2, (edged[1:-1, 2:] - edged[1:-1, :-2]) / 2])
    fits = sorted((_Fit(smooth, mean, start) for start in starts), key=lambda fit: fit.cost)
    return min((_improved(fit, smooth, mean, slopes) for fit in fits[:TRIED]), key=lambda fit: fit.cost).place


def _improved(best: _Fit, smooth: AtlasGrid, mean: AtlasGrid, slopes: AtlasGrid) -> _Fit:
    damping = 1e-3
    for _ in range(STEPS):
        place = best.place + best.step(slopes, damping)
        place[1::2] = place[1::2].clip(-MAX_LOG_STRETCH, MAX_LOG_STRETCH)
        tried = _Fit(smooth, mean, place)
        gain = best.cost - tried.cost
        if gain > 0:
            best, damping = tried, damping / 5
            if gain < MIN_GAIN * best.cost:
                break
        else:
            damping *= 10
    return best


def _misfit(body: AtlasGrid, atlas: AtlasGrid, place: AxisTransform) -> float:
    """Mean squared deviations that a body is off from an atlas, over the cells that the image has."""
    rows, columns, inside = _sampling(body.shape, place)
    residual = np.abs(_sample(body, rows, columns) - atlas[0]) / (atlas[1] + MIN_DEVIATION)
    return float((np.minimum(residual, MAX_RESIDUAL) ** 2 * inside).sum() / max(inside.sum(), 1))
