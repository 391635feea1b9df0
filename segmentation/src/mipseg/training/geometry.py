"""Random affine and elastic maps from the training frame to the pixels of a case, a batch at a time, on any device."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ELASTIC_GRID = 9, 7  # rows and columns of the grid of displacements


class Random:
    """Uniform and normal draws for batches, all from one generator.

    Args:
        seed: of the stream.
        device: where the numbers are made and stay.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Float32 in [low, high)."""
        return low + (high - low) * torch.rand(shape, generator=self._generator, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        """Float32 of mean 0 and standard deviation 1."""
        return torch.randn(shape, generator=self._generator, device=self.device)

    def chance(self, probability: float | Tensor, size: int) -> Tensor:
        """(size,) bool, each True with this probability, or each with its own."""
        return self.uniform(0, 1, size) < probability

    def factor(self, spread: float, size: int) -> Tensor:
        """(size,) factors whose logs are uniform in [-spread, spread)."""
        return self.uniform(-spread, spread, size).exp()

    def below(self, counts: Tensor) -> Tensor:
        """An integer from 0 to count - 1 for each of some counts, which are at least 1."""
        return (self.uniform(0, 1, *counts.shape) * counts).long().clamp(max=counts - 1)

    def pick(self, weights: Tensor) -> Tensor:
        """(B,) for each row of (B, N) weights the number of a column, drawn in proportion to them."""
        # As `torch.multinomial` does it, but for its check of the weights, for which a GPU has to be waited for.
        race = torch.empty_like(weights).exponential_(generator=self._generator)
        return (weights / race).argmax(1)


@dataclass(frozen=True)
class Geometry:
    """Maps from the frame to B images: image pixel = matrix @ (frame pixel - frame's middle + elastic) + origin.

    Attributes:
        matrix: (B, 2, 2), acts on (x, y).
        origin: (B, 2), the (x, y) of the image, counted from its corner, that comes to the frame's middle.
        elastic: (B, 2, rows, columns) displacements of a coarse grid over the frame, in pixels of the frame.
    """

    matrix: Tensor
    origin: Tensor
    elastic: Tensor


def rotation(degrees: Tensor) -> Tensor:
    """(B, 2, 2) matrices of (B,) angles."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def draw_body(random: Random, centre: Tensor, height: Tensor, rows: int) -> Geometry:
    """Draw how B bodies are placed in the frame: scaled, turned, mirrored, moved and bent a little.

    Args:
        random: every random number comes from here.
        centre: (B,) column of the middle of each body.
        height: (B,) rows of each image; of a taller one than the frame a random part is seen.
        rows: of the frame.
    """
    size = len(centre)
    scale, aspect = random.factor(0.3, size), random.factor(0.1, size)
    stretch = torch.stack([scale * aspect, scale / aspect], 1)
    mirror = torch.where(random.chance(0.5, size), -1.0, 1.0)
    matrix = rotation(random.uniform(-12, 12, size)) * stretch[:, None, :]
    matrix = matrix * torch.stack([mirror, torch.ones_like(mirror)], 1)[:, :, None]
    spare = height - rows
    # A shorter body lies anywhere from the top of the frame to its middle.
    middle = rows / 2 + random.uniform(0, 1, size) * torch.where(spare > 0, spare, 0.5 * spare)
    move = torch.stack([random.uniform(-8, 8, size), random.uniform(-16, 16, size)], 1)
    bends = random.chance(0.4, size)[:, None, None, None]
    elastic = random.normal(size, 2, *ELASTIC_GRID) * 4 * bends
    return Geometry(matrix, torch.stack([centre, middle], 1) + move, elastic)


def draw_beside(random: Random, body: Geometry, centre_shift: Tensor) -> Geometry:
    """Draw how donors of lesions are placed so that these come about where they were in the donor's body.

    Args:
        random: every random number comes from here.
        body: where the bodies are that get the lesions.
        centre_shift: (B,) columns from the middle of the body to the middle of the donor's.
    """
    size = len(centre_shift)
    move = torch.stack([random.uniform(-15, 15, size) + centre_shift, random.uniform(-25, 25, size)], 1)
    flips = torch.where(random.chance(0.5, size), -1.0, 1.0)
    matrix = body.matrix * random.factor(0.2, size)[:, None, None]
    matrix = matrix * torch.stack([flips, torch.ones_like(flips)], 1)[:, :, None]
    return Geometry(matrix, body.origin + move, random.normal(size, 2, *ELASTIC_GRID) * 2)


def draw_anywhere(random: Random, lesion: Tensor, scale: Tensor, place: Tensor) -> Geometry:
    """Draw how donors are placed so that one lesion of each comes to a given place, turned at will.

    Args:
        random: every random number comes from here.
        lesion: (B, 2) the (x, y) of each lesion in its own image.
        scale: (B,) how much larger it becomes.
        place: (B, 2) the (x, y) of the frame, counted from its middle, where it should come to lie.
    """
    size = len(scale)
    matrix = rotation(random.uniform(-180, 180, size)) / scale[:, None, None]
    origin = lesion - (matrix @ place[:, :, None])[:, :, 0]
    return Geometry(matrix, origin, random.normal(size, 2, *ELASTIC_GRID) * 3)


def choose(first: Tensor, a: Geometry, b: Geometry) -> Geometry:
    """For each of B maps the first's where (B,) `first` is True, else the second's."""
    return Geometry(
        torch.where(first[:, None, None], a.matrix, b.matrix),
        torch.where(first[:, None], a.origin, b.origin),
        torch.where(first[:, None, None, None], a.elastic, b.elastic),
    )


def warp(geometry: Geometry, frame: tuple[int, int], layers: Tensor) -> Tensor:
    """Sample images into the frame, with linear interpolation; outside of an image they are 0.

    Args:
        geometry: the maps.
        frame: rows and columns of the result.
        layers: (B, C, H, W) float32.

    Returns:
        (B, C, rows, columns) float32.
    """
    rows, columns = frame
    bend = _spline(rows, ELASTIC_GRID[0], layers) @ geometry.elastic @ _spline(columns, ELASTIC_GRID[1], layers).T
    x = bend[:, 0] + torch.arange(columns, device=layers.device) + (0.5 - columns / 2)
    y = bend[:, 1] + torch.arange(rows, device=layers.device)[:, None] + (0.5 - rows / 2)
    place = [
        (row[:, 0, None, None] * x + row[:, 1, None, None] * y + origin[:, None, None]) * (2 / side) - 1
        for row, origin, side in zip(
            geometry.matrix.unbind(1), geometry.origin.unbind(1), (layers.shape[3], layers.shape[2]), strict=True
        )
    ]  # grid_sample wants [-1, 1] from edge to edge
    return F.grid_sample(layers, torch.stack(place, -1), align_corners=False)


def _spline(size: int, knots: int, like: Tensor) -> Tensor:
    """(size, knots): what `F.interpolate` does along one side, bicubic from corner to corner, as a product is fast."""
    unit = torch.eye(knots, device=like.device)[:, None, :, None].expand(-1, -1, -1, 2)
    smooth = F.interpolate(unit, (size, 2), mode="bicubic", align_corners=True)
    return smooth[:, 0, :, 0].T
