"""Projections of a volume from all around the patient's long axis, for eyes: a film that turns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.constants import PITCH_MM
from mipseg.io.volume import Volume, occupied
from mipseg.measure.lesions_3d import Labels
from mipseg.projection import AIR, WIDTH

ANGLES = 36  # of a whole turn
FRAMES = ANGLES // 2  # from behind, a maximum is the same, mirrored
STEP_DEG = 360 / ANGLES
BLOCK_MM = 4.0  # about the side of a pixel
MAX_RADIUS_MM = WIDTH * PITCH_MM / 2  # as much as the networks see
LAST_NUMBER = 255  # stands for all lesions from this number on

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Rotation:
    """Maximum-intensity projections from the front over the patient's left to the back, 10° apart, the head up.

    Attributes:
        intensity: (18, H, W) uint8; 0 is air, 255 the top of the window or more. The middle column is the axis.
        lesions: (18, H, W) uint8; the number of the lesion that shows there, 0: none. The smaller of two shows.
        pixel_mm: of a row and of a column.
    """

    intensity: Bytes
    lesions: Bytes
    pixel_mm: tuple[float, float]


def rotate(volume: Volume, labels: Labels, window_top: float) -> Rotation:
    """Project a volume from 18 sides; the other 18 of a whole turn are these, mirrored.

    Voxels below 4 mm are taken together in blocks of about 4 mm by their maximum. Then each ray meets every block that
    it passes, so no peak is lowered and no lesion is lost. The axis is the middle of what is not air.

    Args:
        volume: its axis 0 is the axis that it turns about.
        labels: (Z, Y, X) of its grid, each lesion's number, 0 outside.
        window_top: the value that is shown as 255, in the volume's unit.
    """
    counts = [max(1, round(BLOCK_MM / side)) for side in volume.spacing]
    dz, dy, dx = (side * count for side, count in zip(volume.spacing, counts, strict=True))
    blocks = _blocks(volume.voxels, counts, 255 / window_top)
    numbers = _blocks(labels, counts, 1)
    seen = (blocks.max(axis=2) > AIR * 255) | (numbers.max(axis=2) > 0)
    views = _views(seen, (dy, dx))
    return Rotation(_project(blocks, views), _project(numbers, views), (dz, min(dy, dx)))


def _blocks(array: npt.NDArray[Any], counts: list[int], scale: float) -> Bytes:
    """(Y', X', Z') uint8: the maximum of each block of `counts` voxels times a scale, at most 255.

    It goes slab by slab: the whole would need as much memory again.
    """
    sizes = [-(-size // count) for size, count in zip(array.shape, counts, strict=True)]
    blocks = np.zeros((*sizes[1:], sizes[0]), np.uint8)
    for index in range(sizes[0]):
        slab = array[index * counts[0] : (index + 1) * counts[0]].max(axis=0)
        if slab.any():
            slab = _maxima(_maxima(slab, counts[1]).T, counts[2]).T
            blocks[:, :, index] = np.rint(np.clip(slab * np.float32(scale), 0, LAST_NUMBER))
    return blocks


def _maxima(plane: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """The maximum of each `count` rows of a plane; the last of them may be fewer."""
    highest = plane[::count].copy()
    for offset in range(1, count):
        rows = plane[offset::count]
        np.maximum(highest[: len(rows)], rows, out=highest[: len(rows)])
    return highest


def _views(seen: npt.NDArray[np.bool_], sides: tuple[float, float]) -> npt.NDArray[np.intp]:
    """Which columns of blocks each ray passes.

    Args:
        seen: (Y', X'), where there is more than air.
        sides: mm of a block, along y and x.

    Returns:
        (18, W, N) places in the flattened (Y', X'), and behind the last one for a place outside. The samples lie half a
        block apart in both directions, two across to a pixel, so that each block holds one at every angle.
    """
    places = np.argwhere(seen) if seen.any() else np.argwhere(~seen)
    first, last = places.min(axis=0), places.max(axis=0)
    middle = (first + last) / 2
    radius = np.hypot(*((places - middle) * sides).T).max() + max(sides)
    pixel = min(sides)
    width = 2 * int(np.ceil(min(radius, MAX_RADIUS_MM) / pixel))
    steps = (np.arange(2 * width) - (2 * width - 1) / 2) * (pixel / 2)  # mm from the axis, also along the ray
    views = np.empty((FRAMES, 2 * width, 2 * width), np.intp)
    for frame, angle in enumerate(np.deg2rad(np.arange(FRAMES) * STEP_DEG)):
        across, along = steps[:, None], steps[None, :]
        y = np.rint(middle[0] + (across * np.sin(angle) + along * np.cos(angle)) / sides[0]).astype(np.intp)
        x = np.rint(middle[1] + (across * np.cos(angle) - along * np.sin(angle)) / sides[1]).astype(np.intp)
        inside = (y >= 0) & (y < seen.shape[0]) & (x >= 0) & (x < seen.shape[1])
        views[frame] = np.where(inside, y * seen.shape[1] + x, seen.size)
    return views.reshape(FRAMES, width, -1)


def _project(blocks: Bytes, views: npt.NDArray[np.intp]) -> Bytes:
    """(18, Z', W): the maximum of each ray, the head up."""
    frames, width, _ = views.shape
    projected = np.zeros((frames, width, blocks.shape[2]), np.uint8)
    if (box := occupied(blocks)) is not None:  # lesions fill few planes
        part = blocks[:, :, box[2]].reshape(blocks.shape[0] * blocks.shape[1], -1)
        columns = np.concatenate([part, np.zeros((1, part.shape[1]), np.uint8)])
        projected[:, :, box[2]] = [[columns[ray].max(axis=0) for ray in view] for view in views]
    return np.ascontiguousarray(projected.transpose(0, 2, 1)[:, ::-1])
