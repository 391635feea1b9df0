"""Random affine and elastic maps from the training frame to the pixels of a case."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """One map from the frame to an image.

    Attributes:
        matrix: (2, 2), acts on (x, y).
        mirrored: whether left and right are swapped.
        offset: (x, y) in pixels.
        part: in [0, 1], which part is seen of a body that is taller than the frame.
        drop: in [0, 1], how far down in the frame a shorter body lies; 1 is half of the spare rows.
        elastic: (1, 2, h, w) displacements in pixels of a coarse grid over the frame; None: none.
    """

    matrix: Vector
    mirrored: bool
    offset: Vector
    part: float
    drop: float
    elastic: Vector | None


def draw_geometries(rng: np.random.Generator, downscale: int) -> tuple[Geometry, Geometry]:
    """Draw a map for a body, and one for a donor of lesions.

    The donor shows the same part of the body at about the same place and size: moved, maybe mirrored, a little scaled.

    Args:
        rng: every random number comes from here.
        downscale: see `Stage`; pixels are those of the stage.
    """
    body, donor = _draw(rng, downscale), _draw(rng, downscale)
    return body, replace(
        donor,
        matrix=body.matrix * math.exp(rng.uniform(-0.2, 0.2)),
        offset=body.offset + rng.uniform((-15, -25), (15, 25)) / downscale,
        part=body.part,
    )


def _draw(rng: np.random.Generator, downscale: int) -> Geometry:
    scale, aspect = math.exp(rng.uniform(-0.3, 0.3)), math.exp(rng.uniform(-0.1, 0.1))
    angle = math.radians(rng.uniform(-12, 12))
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return Geometry(
        matrix=rotation @ np.diag([scale * aspect, scale / aspect]),
        mirrored=bool(rng.random() < 0.5),
        offset=rng.uniform((-8, -16), (8, 16)) / downscale,
        part=rng.random(),
        drop=rng.random(),
        elastic=rng.standard_normal((1, 2, 9, 7)) * 4 / downscale if rng.random() < 0.4 else None,
    )


def warp(
    geometry: Geometry, frame: tuple[int, int], centre: float, channels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Sample an image and its mask into the frame; outside of the image they are 0.

    Args:
        geometry: the map.
        frame: rows and columns of the result.
        centre: column of the image that comes to the frame's middle, before the offset.
        channels: (C, H, W) float32.
        mask: (H, W) bool.

    Returns:
        (C, rows, columns) float32 and (rows, columns) bool.
    """
    rows, columns = frame
    height, width = mask.shape
    spare = height - rows
    middle = rows / 2 + (geometry.part * spare if spare > 0 else geometry.drop * spare * 0.5)
    # From the frame's pixels, counted from its middle, to the image in grid_sample's [-1, 1].
    to_grid = np.array([[2 / width], [2 / height]])
    matrix = geometry.matrix * np.array([[-1.0 if geometry.mirrored else 1.0], [1.0]]) * to_grid
    origin = (np.array([centre, middle]) + geometry.offset) * to_grid[:, 0] - 1
    across = _float(matrix[:, :1] * (np.arange(columns) + 0.5 - columns / 2))  # (2, columns)
    down = _float(matrix[:, 1:] * (np.arange(rows) + 0.5 - rows / 2) + origin[:, None])  # (2, rows)
    place = down[:, :, None] + across[:, None, :]  # (2, rows, columns)
    if geometry.elastic is not None:
        field = _float(np.einsum("xy,byhw->bxhw", matrix, geometry.elastic))
        place += F.interpolate(field, (rows, columns), mode="bicubic", align_corners=True)[0]
    layers = torch.cat([channels, mask[None].float()])[None]
    sampled = F.grid_sample(layers, place.permute(1, 2, 0)[None], align_corners=False)[0]
    return sampled[:-1], sampled[-1] > 0.5


def _float(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(values).float()
