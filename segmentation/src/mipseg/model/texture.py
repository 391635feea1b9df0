"""Images that are smoother than those of the training are made like them before the networks see them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.model.preprocess import BODY_LEVEL
from mipseg.types import Intensity

Bends = npt.NDArray[np.float32]

TISSUE = 0.06, 0.6  # intensities of what is neither air nor hot, which has a grain in every real image
EVEN = 1.5 / 255  # a second difference below this is none to the eye
# Share of even tissue from which grain is added, and from which all of it is; 0.09 to 0.24 in the data set, 0.2 at most
# in 98 of 100 images of it. JPEG of quality 40 has 0.20 to 0.37, a blur of 1 px 0.35 to 0.52.
SMOOTH = 0.20, 0.25
GRAIN = 5 / 255  # standard deviation of the intensity

# Logs of the detail over 1 px as a share of that over 3 px, and over 2 px of that over 4 px, from which an image is
# blurred. They are -1.25 to -0.75 and -0.55 to -0.2 in the data set. Noise and JPEG, which sharpening would bring up,
# keep the first one up, and down to a quality of 20 the second one too.
BLURRED = -1.15, -0.62
# The first one below which a blurred image has none of them: -1.95 to -1.65 after a blur of 2 px alone, and -1.7 to
# -1.35 if JPEG of quality 75 came after it.
CLEAN = -1.7
# The second one after Gaussian blurs of so many px: medians of the data set.
BLURS = {-0.45: 0.5, -0.59: 0.75, -0.72: 1.0, -0.94: 1.5, -1.08: 2.0, -1.18: 3.0}
# Skewness of the bends over 2 px from which it was the volume that was blurred, not its projection. Where one voxel
# takes over from another as the hottest of a ray there is a crease then, which sharpening would bring up. -0.2 to 2.3
# in the data set after a blur of 1 px and more, 3.0 to 5.6 in projections of volumes after filters of 8 and 10 mm.
CREASED = 2.6
USUAL = 0.9  # px of blur that the networks stand, and that is left
MIN_BENDS = 2000  # fewer tell little of a volume; the data set has 20,000 and more
TINY = 1e-6  # detail of what is even
SHARPENINGS = 4, 15  # see `unblurred`; of any image, and of one that is clean


class Blur(NamedTuple):
    """How much more blurred an image is than those of the training.

    Attributes:
        down, across: standard deviations of a Gaussian, px, at most 3; 0: about as sharp as they are, or nothing that
            sharpening could undo, since it is noisy, or its volume was blurred before it was projected.
        is_clean: nothing came after the blur, such as noise or JPEG, that sharpening would bring up.
    """

    down: float
    across: float
    is_clean: bool


def smoothness(intensity: Intensity) -> float:
    """Share of a body's tissue that is even from pixel to pixel, which blurring, JPEG and few grey levels make it.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        In [0, 1]; 0 where there is no tissue.
    """
    bends = np.abs(_bends(intensity, 1))
    return float((bends < EVEN).mean()) if bends.size else 0.0


def with_grain(intensity: Intensity) -> Intensity:
    """Give an image that is too smooth a grain like that of the training's images.

    The networks take an image without any for something that they never saw, and mark what JPEG's blocks leave in it.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The same, or a copy with noise in the body, the same noise for the same image.
    """
    strength = float(np.clip((smoothness(intensity) - SMOOTH[0]) / (SMOOTH[1] - SMOOTH[0]), 0, 1))
    if strength == 0:
        return intensity
    noise = np.random.default_rng(0).standard_normal(intensity.shape, np.float32)
    noisy = (intensity + np.float32(strength * GRAIN) * noise).clip(0, 1)
    return np.where(intensity > BODY_LEVEL, noisy, intensity)


def blur(intensity: Intensity) -> Blur:
    """Measure how blurred an image is, by how its detail falls from scale to scale.

    Args:
        intensity: (H, W) in [0, 1].
    """
    sides = _sides(intensity)
    fine = [_log_share(_bends(rows, 1), _bends(rows, 3)) for rows in sides]
    down, across = (_sigma(rows) if log < BLURRED[0] else 0.0 for rows, log in zip(sides, fine, strict=True))
    return Blur(down, across, min(fine) < CLEAN)


def coarse_detail(intensity: Intensity) -> tuple[float, float]:
    """Log of an image's detail over 2 px as a share of that over 4 px, down and across; 0 where it has little tissue.

    Args:
        intensity: (H, W) in [0, 1].
    """
    down, across = (_coarse_share(rows) for rows in _sides(intensity))
    return down, across


def _coarse_share(rows: Intensity) -> float:
    more = _bends(rows, 4)
    return _log_share(_bends(rows, 2), more) if more.size >= MIN_BENDS else 0.0


def _sides(intensity: Intensity) -> tuple[Intensity, Intensity]:
    """Every other column, lying, and every other row: enough to look along each of the image's sides."""
    return np.ascontiguousarray(intensity[:, ::2].T), intensity[::2]


def _log_share(some: Bends, more: Bends) -> float:
    """Log of the detail, the mean size of the bends, over some pixels as a share of that over more."""
    return math.log(max(np.abs(some).mean(), TINY) / max(np.abs(more).mean(), TINY)) if more.size else 0.0


def _sigma(rows: Intensity) -> float:
    bends = _bends(rows, 2)
    coarse = _log_share(bends, _bends(rows, 4))
    if coarse >= BLURRED[1] or _skewness(bends) > CREASED:
        return 0.0
    return beyond(blur_of_detail(coarse, BLURS), USUAL)


def blur_of_detail(detail: float, table: Mapping[float, float]) -> float:
    """The blur of an image's coarse detail, linearly between those of a table, whose details fall."""
    return float(np.interp(-detail, [-log for log in table], list(table.values())))


def beyond(blur: float, left: float) -> float:
    """The Gaussian that makes one of the width `left` as wide as `blur`; 0 where it is as wide already."""
    return math.sqrt(max(0.0, blur**2 - left**2))


def _skewness(bends: Bends) -> float:
    deviation = bends - bends.mean(dtype=np.float64)
    return float((deviation**3).mean() / max(deviation.std(), TINY) ** 3)


def _bends(rows: Intensity, step: int) -> Bends:
    """Second differences of tissue between columns that are so far apart."""
    middle = rows[:, step:-step]
    bends = rows[:, 2 * step :] - 2 * middle + rows[:, : -2 * step]
    return bends[(middle > TISSUE[0]) & (middle < TISSUE[1])]


def sharpened(intensity: Intensity) -> Intensity:
    """Undo what an image was blurred by after its projection, as by enlarging or smoothing it.

    Args:
        intensity: (H, W) in [0, 1].

    Returns:
        The same, or a sharper copy.
    """
    down, across, is_clean = blur(intensity)
    if not down and not across:
        return intensity
    return unblurred(intensity, (down, across), SHARPENINGS[is_clean], top=1)


def unblurred(
    values: npt.NDArray[np.float32], sigmas: Sequence[float], times: int, top: float | None = None
) -> npt.NDArray[np.float32]:
    """Undo a Gaussian blur.

    What the result, blurred again, lacks of the values is added some times, the more often the nearer they come (van
    Cittert 1931, Z Phys 69:298-308).

    Args:
        values: an image or a volume.
        sigmas: standard deviation along each axis, in its steps.
        times: how often.
        top: the highest value that there is; none is below 0.
    """
    sharp = values
    for _ in range(times):
        sharp = (sharp + values - ndimage.gaussian_filter(sharp, sigmas, truncate=3)).clip(0, top)
    return sharp
