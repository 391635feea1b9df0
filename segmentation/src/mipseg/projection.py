"""From a volume to the image that the networks know, and from an image's mask back to the volume's rays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.constants import PITCH_MM, WINDOW_TOP_SUV
from mipseg.errors import ArgumentError, VolumeError
from mipseg.io.volume import Volume
from mipseg.metrics import NEIGHBOURS
from mipseg.types import BinaryMask, Intensity, Spacing

WIDTH = 400  # pixels of the images that the networks were trained on
MIN_WINDOW = 1e-6  # the lowest top that may be chosen
MAX_HEIGHT_MM = 2500.0  # taller than any person and any scanner's bed
_SLAB = 8  # planes that are looked at together
AIR = 0.03  # share of the window below which a pixel at the sides is cut off without a word

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mip:
    """A coronal maximum-intensity projection: the head up, the patient's right at the left.

    Attributes:
        intensity: (H, 400) float32 in [0, 1], pixels of 2 mm; 0 is air, 1 the top of the window or more.
        hottest: (Z, X) float32: of each ray of the volume's own grid, the highest value.
        depth: (Z, X) int16: of each ray, the index along axis 1 of the voxel that has it.
        rows: (H,) float64: the place of each image row on axis 0 of the volume; whole numbers are voxel centres.
        columns: (400,) float64: the place of each image column on axis 2.
        window_top: the value, in the volume's unit, that is shown as 1.
        warnings: `code: sentence` each.
    """

    intensity: Intensity
    hottest: npt.NDArray[np.float32]
    depth: npt.NDArray[np.int16]
    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]
    window_top: float
    warnings: tuple[str, ...] = ()

    @property
    def spacing(self) -> Spacing:
        """Millimetres between rows and between columns."""
        return PITCH_MM, PITCH_MM

    def rays_of(self, mask: npt.NDArray[Any]) -> BinaryMask:
        """The rays of the volume that a mask of the image holds.

        A ray is held where the mask covers at least half of its voxels' area; of a component (8-connected) that is too
        small for that, the ray that it covers most.

        Args:
            mask: (H, 400) bool.

        Returns:
            (Z, X) bool.

        Raises:
            ArgumentError: a mask of another shape.
        """
        if mask.shape != self.intensity.shape:
            raise ArgumentError(f"the mask's shape is {mask.shape}, but the image's is {self.intensity.shape}")
        down, across = _overlap(self.rows, self.depth.shape[0]), _overlap(self.columns, self.depth.shape[1])
        rays = np.asarray(down @ (mask != 0) @ across.T >= 0.5 - 1e-9)
        labels, _ = ndimage.label(mask, NEIGHBOURS)
        for label, box in enumerate(ndimage.find_objects(labels), 1):
            share = down[:, box[0]] @ (labels[box] == label) @ across[:, box[1]].T
            if not rays[share > 0].any():
                rays[np.unravel_index(share.argmax(), share.shape)] = True
        return rays


def project(volume: Volume, window_top: float | None = None) -> Mip:
    """Project a volume along the patient's front-back axis and draw it as the networks' images are drawn.

    The maximum is taken on the volume's own grid and only the image is interpolated (linearly). So each ray belongs to
    one voxel that was measured, no peak is lowered before it is compared, and no resampled volume has to be held.

    Args:
        volume: of which `axis 1` is projected; a tilted grid is taken as it lies.
        window_top: the value that becomes 1, in the volume's unit; None: SUV 6.

    Returns:
        An image as wide as those of the training, the volume in its middle, air beside it.

    Raises:
        VolumeError: no SUV and no window either, or taller than 2.5 m.
        ArgumentError: a window that is not above 0.
    """
    top = _checked_window(volume, window_top)
    hottest, depth = _hottest(volume.voxels)
    dz, (planes, columns) = volume.spacing[0], hottest.shape
    if planes * dz > MAX_HEIGHT_MM:
        raise VolumeError(f"the volume is {planes * dz:.0f} mm tall; at most {MAX_HEIGHT_MM:.0f} mm are read")
    down, across = _pixels(hottest.shape, volume.spacing)
    beyond = hottest[:, (np.arange(columns) < across[0] - 1) | (np.arange(columns) > across[-1] + 1)]
    cut = beyond.max(initial=0) > AIR * top
    warnings = (f"cropped: what lies beyond {WIDTH * PITCH_MM:.0f} mm was cut off",) if cut else ()
    return Mip(draw(hottest, volume.spacing, top), hottest, depth, down, across, top, warnings)


def draw(
    hottest: npt.NDArray[np.float32], spacing: tuple[float, float, float], window_top: float, order: int = 1
) -> Intensity:
    """Draw a projection on a volume's own grid as an image: pixels of 2 mm, the head up, air beside it.

    Args:
        hottest: (Z, X); see `Mip`.
        spacing: of the volume, mm.
        window_top: the value that becomes 1.
        order: of the splines that interpolate; 1: linear.

    Returns:
        (H, 400) float32 in [0, 1].
    """
    down, across = _pixels(hottest.shape, spacing)
    image = ndimage.map_coordinates(hottest, np.meshgrid(down, across, indexing="ij"), order=order, mode="nearest")
    image[:, (across < -0.5) | (across > hottest.shape[1] - 0.5)] = 0
    return np.asarray(np.clip(image / np.float32(window_top), 0, 1))


def _pixels(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> tuple[npt.NDArray[np.float64], ...]:
    """Where the image's rows and columns lie on the axes of a projection on the volume's own grid."""
    (planes, columns), (dz, _, dx) = shape, spacing
    height = max(1, round(planes * dz / PITCH_MM))
    return _places(planes, dz, height)[::-1], _places(columns, dx, WIDTH)


def _checked_window(volume: Volume, window_top: float | None) -> float:
    if window_top is None:
        if volume.unit != "suv":
            raise VolumeError(f"no SUV ({volume.suv_reason}); to show it all the same, give a window in its own unit")
        return WINDOW_TOP_SUV
    if not 0 < window_top < float("inf"):
        raise ArgumentError(f"the window's top must be a number above 0, not {window_top!r}")
    return float(window_top)


def _hottest(voxels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """The maximum of each ray and its index. Slab by slab: over the whole, argmax would copy the volume."""
    planes, _, columns = voxels.shape
    hottest, depth = np.empty((planes, columns), np.float32), np.empty((planes, columns), np.int16)
    for start in range(0, planes, _SLAB):
        slab = slice(start, start + _SLAB)
        depth[slab] = voxels[slab].argmax(axis=1)
        hottest[slab] = voxels[slab].max(axis=1)
    return hottest, depth


def _places(count: int, side_mm: float, pixels: int) -> npt.NDArray[np.float64]:
    """Where pixels of 2 mm lie on a grid of `count` voxels that has the same middle."""
    return np.asarray((count - 1) / 2 + (np.arange(pixels) - (pixels - 1) / 2) * (PITCH_MM / side_mm), np.float64)


def _overlap(places: npt.NDArray[np.float64], count: int) -> Weights:
    """(count, pixels): the share of each voxel's side that each pixel covers."""
    half = abs(places[1] - places[0]) / 2 if places.size > 1 else 0.5 * count
    voxels = np.arange(count)[:, None]
    covered = np.minimum(voxels + 0.5, places + half) - np.maximum(voxels - 0.5, places - half)
    return np.asarray(np.maximum(covered, 0), np.float64)
