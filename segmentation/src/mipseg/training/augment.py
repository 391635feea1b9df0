"""Endless training images from a fixed set: sampling, composition by maximum, geometry and intensity.

Composition is exact for projections: the maximum of two volumes projects to the maximum of their projections. So
lesions of one patient laid onto another body by pixelwise maximum are a correct MIP of a patient who never existed.

Everything runs on the device that holds the pool, image by image; one image costs a few per cent of its training step.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from mipseg.io.dataset import Case
from mipseg.model.atlas import AtlasGrid, atlas_maps
from mipseg.model.preprocess import body_columns, match_window
from mipseg.training.config import Config

FRAME = (448, 320)  # rows and columns of a training image at full resolution
COARSE_FRAME = (256, 192)  # the same at half resolution, rounded up to multiples of 64
COST_RATE = 0.4  # how fast a case's remembered cost follows the latest one
MAX_LESIONS = 15  # most components that are copied from one patient


class Subject:
    """One case on the training device, at the resolution of a stage.

    Attributes:
        channels: (C, H, W) float: the intensity in [0, 1] and, with an atlas, usual intensity and its standard
            deviation at each pixel.
        components: (H, W) integer labels of the reference's components, 0 where there is none.
        count: number of components.
        centre: column of the middle of the body.
    """

    def __init__(self, case: Case, atlas: AtlasGrid | None, downscale: int, device: torch.device) -> None:
        intensity, mask = case.intensity, case.mask.astype(np.float32)
        channels = intensity[None]
        if atlas is not None:
            channels = np.concatenate([channels, atlas_maps(match_window(intensity), atlas)])
        if downscale > 1:
            height, width = (side // downscale for side in intensity.shape)
            cut = (slice(height * downscale), slice(width * downscale))
            shape = (height, downscale, width, downscale)
            mask = mask[cut].reshape(shape).mean((1, 3))
            channels = np.stack([channel[cut].reshape(shape).mean((1, 3)) for channel in channels])
        labels, self.count = ndimage.label(mask >= 0.5, np.ones((3, 3)))
        columns = body_columns(channels[0])
        self.centre = (columns.start + columns.stop) / 2
        self.channels = torch.from_numpy(channels).to(device)
        self.components = torch.from_numpy(labels.astype(np.int32)).to(device)


class Sampler:
    """Draws augmented batches for one stage.

    Args:
        cases: training cases, patients and controls.
        atlas: what the network is told about healthy bodies, see `mipseg.model.atlas`; None: nothing.
        downscale: see `Stage`.
        config: shares of patients and compositions.
        rng: every random number comes from here.
        device: where the images live and are augmented.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        atlas: AtlasGrid | None,
        downscale: int,
        config: Config,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self._config, self._rng, self._device = config, rng, device
        self._frame = FRAME if downscale == 1 else COARSE_FRAME
        self._downscale = downscale
        self._patients = _Pool([Subject(case, atlas, downscale, device) for case in cases if case.has_tumour])
        self._controls = _Pool([Subject(case, atlas, downscale, device) for case in cases if not case.has_tumour])
        self._drawn: list[tuple[_Pool, int] | None] = []  # where each image of the last batch is from; None: composed

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Draw a batch.

        Returns:
            (B, C, H, W) float32 input of the network in channels_last order, and (B, 1, H, W) float32 masks, 0 or 1.
        """
        self._drawn = []
        drawn = [self._one() for _ in range(size)]
        images = torch.stack([image for image, _ in drawn])
        masks = torch.stack([mask for _, mask in drawn])[:, None]
        return images.contiguous(memory_format=torch.channels_last), masks

    def learn(self, costs: Sequence[float]) -> None:
        """Take note of what the images of the last batch cost, so that costly cases are drawn more often.

        A network that has little time learns nothing from bodies that it already gets right.

        Args:
            costs: one number in [0, 1] per image of the last batch, see `image_costs`.
        """
        for place, cost in zip(self._drawn, costs, strict=True):
            if place is not None:
                pool, index = place
                pool.costs[index] += COST_RATE * (cost - pool.costs[index])

    def _one(self) -> tuple[Tensor, Tensor]:
        rng, config = self._rng, self._config
        has_tumour = rng.random() < config.patient_fraction or not self._controls.subjects
        pool = self._patients if has_tumour else self._controls
        index = pool.draw(rng, config.hard_mining_fraction)
        subject = pool.subjects[index]
        grid_maker = _Geometry(rng, self._frame, self._downscale)
        image, mask = grid_maker.warp(subject, rng, subject.channels, (subject.components > 0).float())
        composed = rng.random() < (config.compose_patients if has_tumour else config.compose_controls)
        self._drawn.append(None if composed else (pool, index))
        if composed:
            donor = self._patients.subjects[self._patients.draw(rng, 0)]
            lesions, keep = grid_maker.moved(rng).warp(donor, rng, donor.channels[:1], _some_lesions(donor, rng))
            gain = math.exp(rng.uniform(-0.3, 0.3))
            pasted = (_feather(keep) * lesions[0] * gain).clamp(0, 1)
            image[0], mask = torch.maximum(image[0], pasted), torch.maximum(mask, keep)
        image[0] = _intensity(image[0], config.window_jitter, rng)
        return image, mask


class _Pool:
    """Cases of one kind, and how much each has cost lately."""

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects, self.costs = subjects, np.ones(len(subjects))

    def draw(self, rng: np.random.Generator, hard: float) -> int:
        """Draw the index of a subject, in `hard` of the draws in proportion to its cost."""
        if rng.random() < hard:
            return int(rng.choice(len(self.subjects), p=self.costs / self.costs.sum()))
        return int(rng.integers(len(self.subjects)))


def _some_lesions(donor: Subject, rng: np.random.Generator) -> Tensor:
    most = max(1, min(donor.count, MAX_LESIONS))
    chosen = rng.permutation(donor.count)[: rng.integers(1, most + 1)] + 1
    table = torch.zeros(donor.count + 1)
    table[torch.from_numpy(chosen)] = 1
    return table.to(donor.components.device)[donor.components]


def _feather(keep: Tensor) -> Tensor:
    # Two box filters are near enough to a Gaussian; the factor keeps the lesion's inside at full weight.
    blurred = F.avg_pool2d(F.avg_pool2d(keep[None, None], 3, 1, 1), 3, 1, 1)[0, 0]
    return (2 * blurred).clamp(0, 1)


class _Geometry:
    """One random affine and elastic map from the training frame to a subject's pixels."""

    def __init__(self, rng: np.random.Generator, frame: tuple[int, int], downscale: int) -> None:
        self._frame, self._downscale = frame, downscale
        scale, aspect = math.exp(rng.uniform(-0.3, 0.3)), math.exp(rng.uniform(-0.1, 0.1))
        angle = math.radians(rng.uniform(-12, 12))
        rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        self._matrix = rotation @ np.diag([scale * aspect, scale / aspect])  # acts on (x, y)
        self._mirror = rng.random() < 0.5
        self._offset = rng.uniform((-8, -16), (8, 16)) / downscale
        self._rows = rng.random()  # which part of a body that is taller than the frame
        self._elastic = rng.standard_normal((1, 2, 9, 7)) * 4 / downscale if rng.random() < 0.4 else None

    def moved(self, rng: np.random.Generator) -> "_Geometry":
        """A like map for a donor: the same part of the body, shifted, maybe mirrored, a little scaled."""
        other = _Geometry(rng, self._frame, self._downscale)
        other._offset = self._offset + rng.uniform((-15, -25), (15, 25)) / self._downscale
        other._matrix, other._rows = self._matrix * math.exp(rng.uniform(-0.2, 0.2)), self._rows
        return other

    def warp(self, subject: Subject, rng: np.random.Generator, channels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Sample channels and a mask of a subject into the frame; outside of the image they are 0."""
        rows, columns = self._frame
        height, width = mask.shape
        spare = height - rows
        middle = rows / 2 + (self._rows * spare if spare > 0 else rng.uniform(spare, 0) * 0.5)
        # From the frame's pixels, counted from its middle, to the image in grid_sample's [-1, 1].
        to_grid = np.array([[2 / width], [2 / height]])
        matrix = self._matrix * np.array([[-1.0 if self._mirror else 1.0], [1.0]]) * to_grid
        centre = (np.array([subject.centre, middle]) + self._offset) * to_grid[:, 0] - 1
        across = torch.from_numpy(matrix[:, :1] * (np.arange(columns) + 0.5 - columns / 2)).float()  # (2, columns)
        down = torch.from_numpy(
            matrix[:, 1:] * (np.arange(rows) + 0.5 - rows / 2) + centre[:, None]
        ).float()  # (2, rows)
        place = down[:, :, None] + across[:, None, :]  # (2, rows, columns)
        if self._elastic is not None:
            field = torch.from_numpy(np.einsum("xy,byhw->bxhw", matrix, self._elastic)).float()
            place += F.interpolate(field, (rows, columns), mode="bicubic", align_corners=True)[0]
        grid = place.permute(1, 2, 0)[None].to(mask.device)
        all_channels = F.grid_sample(torch.cat([channels, mask[None]])[None], grid, align_corners=False)[0]
        return all_channels[:-1], (all_channels[-1] > 0.5).float()


def _intensity(image: Tensor, window: float, rng: np.random.Generator) -> Tensor:
    # Images are trained on as they are, not matched: the range drawn here holds what `match_window` leaves over.
    if rng.random() < 0.5:
        image = image * math.exp(rng.uniform(-window, window))  # another top of the SUV window
    if rng.random() < 0.5:
        image = image.clamp(0, 1) ** math.exp(rng.uniform(-0.35, 0.35))
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.05))
        image = image + torch.from_numpy(noise).to(image.device)
    if rng.random() < 0.2:
        image = F.avg_pool2d(image[None, None], 3, 1, 1)[0, 0]
    return image.clamp(0, 1)
