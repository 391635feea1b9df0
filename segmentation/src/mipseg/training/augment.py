"""Endless training images from a fixed stock: sampling, composition by maximum, geometry and intensity.

Composition is exact for projections: the maximum of two volumes projects to the maximum of their projections. So
lesions of one patient laid onto another body by pixelwise maximum are a correct MIP of a patient who never existed.

A batch is drawn at once, on the device that trains: a GPU is fed by itself, and a CPU needs no other process.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mipseg.training.config import Config
from mipseg.training.geometry import Geometry, Random, choose, draw_anywhere, draw_beside, draw_body, warp
from mipseg.training.stock import CONTROL, PATIENT, SAME_LESION, UNLABELLED, Stock

FRAME = (448, 320)  # rows and columns of a training image
MAX_LESIONS = 15  # most components that are copied from one patient
EXTENTS = 4.0, 64.0  # px of lesions that are laid anywhere: 8 mm to 13 cm
SCALES = 0.3, 8.0  # by which they are made so large
TEXTURE = 0.5  # most standard deviation of the log of their own texture, at each size of its grains
GRAINS = 8, 4, 2  # px
MIN_CONTRAST = 0.05  # intensity by which they are hotter than what they lie on
CELL = 8  # px of a place where a lesion may be laid
TALL = 150  # px more than a training image from which a body is taken to have legs
BODY = 0.03  # mean intensity of a cell from which it belongs to the body
HOT = 0.75  # from which something in it is hot, a tumour or not
BESIDE = 16.0  # how much likelier a lesion is laid beside something hot, as on the scalp, than elsewhere


class Batch(NamedTuple):
    """B training images.

    Attributes:
        image: (B, 1, H, W) float32 intensity in [0, 1].
        target: (B, 1, H, W) float32 probability of tumour: 0 or 1 where a reference says so.
    """

    image: Tensor
    target: Tensor


class Sampler:
    """Draws augmented images.

    Args:
        stock: the training cases; what is tumour in those without reference may change meanwhile.
        config: shares of patients and compositions.
        random: every random number comes from here.
    """

    def __init__(self, stock: Stock, config: Config, random: Random) -> None:
        self._stock, self._config, self._random = stock, config, random

    def draw(self, size: int, unlabelled: float) -> Batch:
        """Draw images.

        Args:
            size: how many.
            unlabelled: share of them that is of patients without reference.
        """
        config, random, stock = self._config, self._random, self._stock
        kind = self._draw_kind(size, unlabelled)
        numbers = self._draw_cases(kind)
        body = draw_body(random, stock.centres[numbers], stock.heights[numbers], FRAME[0])
        layers = torch.stack([stock.images[numbers], stock.targets[numbers]], 1).float() / 255
        image, target = warp(body, FRAME, layers).unbind(1)
        target = torch.where((kind == UNLABELLED)[:, None, None], target, (target > 0.5).float())
        share = torch.where(kind == CONTROL, config.compose_controls, config.compose_patients)
        composed = random.chance(share, size)[:, None, None]
        lesions, keep = self._draw_lesions(image, body, numbers)
        keep, lesions = keep * composed, lesions * composed
        image, target = torch.maximum(image, lesions), torch.maximum(target, keep)
        return Batch(change_intensity(image, config.window_jitter, random)[:, None], target[:, None])

    def _draw_kind(self, size: int, unlabelled: float) -> Tensor:
        is_unlabelled = self._random.chance(unlabelled, size)
        is_patient = self._random.chance(self._config.patient_fraction, size)
        with_reference = torch.where(is_patient, PATIENT, CONTROL if len(self._stock.groups[CONTROL]) else PATIENT)
        return torch.where(is_unlabelled, UNLABELLED, with_reference)

    def _draw_cases(self, kind: Tensor) -> Tensor:
        numbers = torch.zeros_like(kind)
        for number, group in enumerate(self._stock.groups):
            if len(group):
                drawn = group[self._random.below(torch.full_like(kind, len(group)))]
                numbers = torch.where(kind == number, drawn, numbers)
        return numbers

    def _draw_lesions(self, image: Tensor, body: Geometry, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Lesions for B bodies: their intensity, 0 elsewhere, and where they are, as 0 and 1; both (B, H, W)."""
        random, stock, size = self._random, self._stock, len(numbers)
        donors = self._draw_donors(size)
        anywhere = self._draw_anywhere(numbers)
        first = random.below(stock.counts[donors].clamp(min=1))
        scale = random.uniform(math.log(EXTENTS[0]), math.log(EXTENTS[1]), size).exp() / stock.extents[donors, first]
        scale = scale.clamp(*SCALES)
        geometry = choose(
            anywhere,
            draw_anywhere(random, stock.places[donors, first], scale, self._draw_places(image)),
            draw_beside(random, body, stock.centres[donors] - stock.centres[numbers]),
        )
        distance = (stock.places[donors] - stock.places[donors, first][:, None]).norm(dim=2)
        near = distance * scale.clamp(min=1)[:, None] < SAME_LESION
        chosen = torch.where(anywhere[:, None], near, self._some(stock.counts[donors], near.shape[1]))
        table = torch.zeros((size, near.shape[1] + 1), device=stock.device)
        table[:, 1:] = chosen & (torch.arange(near.shape[1], device=stock.device) < stock.counts[donors, None])
        selected = table.gather(1, stock.components[donors].long().flatten(1)).view(stock.images[donors].shape)
        layers = torch.stack([stock.images[donors].float() / 255, selected], 1)
        lesions, keep = warp(geometry, FRAME, layers).unbind(1)
        keep = (keep > 0.5).float()
        # Elsewhere than in the data set, tumours may also be only moderately hot.
        gain = torch.where(anywhere, random.uniform(-0.9, 0.2, size), random.uniform(-0.3, 0.3, size)).exp()
        lesions = (_feather(keep) * lesions * gain[:, None, None]).clamp(0, 1)
        # A lesion laid where the body is about as hot can't be seen there; its own cold grains belong to it.
        keep = torch.where(anywhere[:, None, None] & (lesions < image + MIN_CONTRAST), 0, keep)
        return (lesions * self._draw_texture(anywhere)).clamp(0, 1), keep

    def _draw_anywhere(self, numbers: Tensor) -> Tensor:
        """(B,) bool: whose lesions lie anywhere. Bodies with legs are few, and their own lesions hardly ever there."""
        is_tall = self._stock.heights[numbers] > FRAME[0] + TALL
        return self._random.chance(
            torch.where(is_tall, self._config.anywhere_tall, self._config.anywhere), len(numbers)
        )

    def _draw_texture(self, anywhere: Tensor) -> Tensor:
        """(B, H, W) factors, which vary over lesions that lie anywhere, as large tumours are uneven, else 1."""
        size = len(anywhere)
        log = torch.zeros((size, *FRAME), device=self._stock.device)
        for grain in GRAINS:
            field = self._random.normal(size, 1, FRAME[0] // grain, FRAME[1] // grain)
            strength = self._random.uniform(0, TEXTURE, size) * anywhere
            log += strength[:, None, None] * F.interpolate(field, FRAME, mode="bilinear", align_corners=False)[:, 0]
        return log.exp()

    def _draw_donors(self, size: int) -> Tensor:
        patients = torch.cat([self._stock.groups[PATIENT], self._stock.groups[UNLABELLED]])
        weights = (self._stock.counts[patients] > 0).float().expand(size, -1)
        return patients[self._random.pick(weights)]

    def _draw_places(self, image: Tensor) -> Tensor:
        """(B, 2) a place (x, y) in each body, counted from the frame's middle."""
        cells = F.avg_pool2d(image[:, None], CELL)[:, 0]
        hot = (cells > HOT).float()
        beside = F.max_pool2d(hot, 3, 1, 1) - hot
        weights = (cells > BODY) * (1 + (BESIDE - 1) * beside) + 1e-6
        cell = self._random.pick(weights.flatten(1))
        columns = cells.shape[2]
        x, y = cell % columns * CELL - FRAME[1] / 2, cell // columns * CELL - FRAME[0] / 2
        return torch.stack([x, y], 1) + self._random.uniform(0, CELL, len(cell), 2)

    def _some(self, counts: Tensor, most: int) -> Tensor:
        """(B, most) bool: from one to `MAX_LESIONS` of the first `counts` of each row."""
        order = self._random.uniform(0, 1, len(counts), most)
        order = order + 2 * (torch.arange(most, device=order.device) >= counts[:, None])
        wanted = 1 + self._random.below(counts.clamp(1, MAX_LESIONS))
        return order.argsort(1).argsort(1) < wanted[:, None]


def change_intensity(image: Tensor, window_jitter: float, random: Random) -> Tensor:
    """Change the SUV window, the contrast, the noise and the sharpness of (B, H, W) intensities in [0, 1]."""
    # Images are trained on as they are, not matched: the range drawn here holds what `match_window` leaves over.
    size = len(image)

    def sometimes(share: float, values: Tensor, otherwise: float) -> Tensor:
        return torch.where(random.chance(share, size), values, otherwise)[:, None, None]

    image = (image * sometimes(0.5, random.factor(window_jitter, size), 1)).clamp(0, 1)
    image = image ** sometimes(0.5, random.factor(0.35, size), 1)
    image = image + random.normal(*image.shape) * sometimes(0.3, random.uniform(0, 0.05, size), 0)
    return torch.where(random.chance(0.2, size)[:, None, None], _blurred(image), image).clamp(0, 1)


def _feather(keep: Tensor) -> Tensor:
    # Two box filters are near enough to a Gaussian; the factor keeps the lesion's inside at full weight.
    return (2 * _blurred(_blurred(keep))).clamp(0, 1)


def _blurred(image: Tensor) -> Tensor:
    """(B, H, W) means of 3 x 3 pixels, 0 outside; sums of slices take a fraction of the time of a pooling on a CPU."""
    image = F.pad(image, (1, 1, 1, 1))
    rows = image[:, :-2] + image[:, 1:-1] + image[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
