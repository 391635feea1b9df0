"""Endless training images from a fixed set: sampling, composition by maximum, geometry and intensity.

Composition is exact for projections: the maximum of two volumes projects to the maximum of their projections. So
lesions of one patient laid onto another body by pixelwise maximum are a correct MIP of a patient who never existed.

Everything here runs on one CPU core, image by image; `mipseg.training.batches` runs it in worker processes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from mipseg.io.dataset import Case
from mipseg.model.atlas import AtlasGrid, atlas_maps
from mipseg.model.preprocess import body_columns, match_window
from mipseg.training.config import Config
from mipseg.training.geometry import Geometry, draw_geometries, warp

FRAME = (448, 320)  # rows and columns of a training image at full resolution
COARSE_FRAME = (256, 192)  # the same at half resolution, rounded up to multiples of 64
COST_RATE = 0.4  # how fast a case's remembered cost follows the latest one
MAX_LESIONS = 15  # most components that are copied from one patient
COMPOSED = -1  # stands for the number of a case where an image is of two

DrawGeometries = Callable[[np.random.Generator, int], tuple[Geometry, Geometry]]
ChangeIntensity = Callable[[Tensor, float, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Subject:
    """One case at the resolution of a stage.

    Attributes:
        has_tumour: whether the case is a patient.
        channels: (C, H, W) float32: the intensity in [0, 1] and, with an atlas, usual intensity and its standard
            deviation at each pixel.
        components: (H, W) int32 labels of the reference's components, 0 where there is none.
        count: number of components.
        centre: column of the middle of the body.
    """

    has_tumour: bool
    channels: Tensor
    components: Tensor
    count: int
    centre: float


class Example(NamedTuple):
    """A training image, or a batch of B of them with one more axis in front.

    Attributes:
        image: (C, H, W) float32 input of the network.
        mask: (H, W) bool, True in tumours.
        case: number of the case that the image is of; `COMPOSED` if it is of two.
    """

    image: Tensor
    mask: Tensor
    case: Tensor


def make_subject(case: Case, atlas: AtlasGrid | None, downscale: int) -> Subject:
    """Prepare a case.

    Args:
        case: patient or control.
        atlas: what the network is told about healthy bodies, see `mipseg.model.atlas`; None: nothing.
        downscale: see `Stage`.
    """
    intensity, mask = case.intensity, case.mask.astype(np.float32)
    channels = intensity[None]
    if atlas is not None:
        channels = np.concatenate([channels, atlas_maps(match_window(intensity), atlas)])
    if downscale > 1:
        height, width = (side // downscale for side in intensity.shape)
        kept = (slice(height * downscale), slice(width * downscale))
        shape = (height, downscale, width, downscale)
        mask = mask[kept].reshape(shape).mean((1, 3))
        channels = np.stack([channel[kept].reshape(shape).mean((1, 3)) for channel in channels])
    labels, count = ndimage.label(mask >= 0.5, np.ones((3, 3)))
    columns = body_columns(channels[0])
    centre = (columns.start + columns.stop) / 2
    components = torch.from_numpy(labels.astype(np.int32))
    return Subject(case.has_tumour, torch.from_numpy(channels), components, int(count), centre)


def change_intensity(image: Tensor, window_jitter: float, rng: np.random.Generator) -> Tensor:
    """Change the SUV window, the contrast, the noise and the sharpness of an (H, W) intensity in [0, 1]."""
    # Images are trained on as they are, not matched: the range drawn here holds what `match_window` leaves over.
    if rng.random() < 0.5:
        image = image * math.exp(rng.uniform(-window_jitter, window_jitter))  # another top of the SUV window
    if rng.random() < 0.5:
        image = image.clamp(0, 1) ** math.exp(rng.uniform(-0.35, 0.35))
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.05))
        image = image + torch.from_numpy(noise)
    if rng.random() < 0.2:
        image = F.avg_pool2d(image[None, None], 3, 1, 1)[0, 0]
    return image.clamp(0, 1)


@dataclass(frozen=True)
class Sampler:
    """Draws augmented images for one stage.

    Attributes:
        subjects: the training cases.
        config: shares of patients, hard cases and compositions.
        costs: (N,) float32, what each case has cost lately, see `learn`; read at each draw, changed by others.
        downscale: see `Stage`.
        frame: rows and columns of an image.
        draw_geometries: how bodies, and donors of lesions, are placed in the frame.
        change_intensity: how intensity is changed at the end.
    """

    subjects: Sequence[Subject]
    config: Config
    costs: Tensor
    downscale: int
    frame: tuple[int, int]
    draw_geometries: DrawGeometries = draw_geometries
    change_intensity: ChangeIntensity = change_intensity

    @cached_property
    def _patients(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero([subject.has_tumour for subject in self.subjects])

    @cached_property
    def _controls(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero([not subject.has_tumour for subject in self.subjects])

    def draw(self, rng: np.random.Generator) -> Example:
        """Draw one image; every random number comes from the generator."""
        config = self.config
        is_patient = rng.random() < config.patient_fraction or not self._controls.size
        number = self._draw_case(self._patients if is_patient else self._controls, config.hard_mining_fraction, rng)
        subject = self.subjects[number]
        geometry, donor_geometry = self.draw_geometries(rng, self.downscale)
        image, mask = warp(geometry, self.frame, subject.centre, subject.channels, subject.components > 0)
        composed = rng.random() < (config.compose_patients if is_patient else config.compose_controls)
        if composed:
            donor = self.subjects[self._draw_case(self._patients, 0, rng)]
            lesions, keep = warp(
                donor_geometry, self.frame, donor.centre, donor.channels[:1], _some_lesions(donor, rng)
            )
            gain = math.exp(rng.uniform(-0.3, 0.3))
            image[0] = torch.maximum(image[0], (_feather(keep) * lesions[0] * gain).clamp(0, 1))
            mask |= keep
        image[0] = self.change_intensity(image[0], config.window_jitter, rng)
        return Example(image, mask, torch.tensor(COMPOSED if composed else number))

    def _draw_case(self, cases: npt.NDArray[np.intp], hard: float, rng: np.random.Generator) -> int:
        """Draw one of some cases, in `hard` of the draws in proportion to its cost."""
        if rng.random() < hard:
            costs = self.costs.numpy()[cases].astype(np.float64)  # a copy: the costs may change meanwhile
            return int(rng.choice(cases, p=costs / costs.sum()))
        return int(rng.choice(cases))


def make_sampler(
    cases: Sequence[Case], atlas: AtlasGrid | None, downscale: int, config: Config, costs: Tensor
) -> Sampler:
    """Prepare all cases for a stage; see `make_subject` and `Sampler`."""
    subjects = tuple(make_subject(case, atlas, downscale) for case in cases)
    return Sampler(subjects, config, costs, downscale, FRAME if downscale == 1 else COARSE_FRAME)


def learn(costs: Tensor, cases: Tensor, latest: Tensor) -> None:
    """Take note of what images cost, so that costly cases are drawn more often. Composed images say nothing.

    A network that has little time learns nothing from bodies that it already gets right.

    Args:
        costs: (N,) float32, what each case has cost lately; changed in place.
        cases: (B,) numbers of the cases, `COMPOSED` for images of two.
        latest: (B,) what each image cost, in [0, 1], see `image_costs`.
    """
    for case, cost in zip(cases.tolist(), latest.tolist(), strict=True):
        if case != COMPOSED:
            costs[case] += COST_RATE * (cost - costs[case])


def _some_lesions(donor: Subject, rng: np.random.Generator) -> Tensor:
    most = max(1, min(donor.count, MAX_LESIONS))
    chosen = rng.permutation(donor.count)[: rng.integers(1, most + 1)] + 1
    table = torch.zeros(donor.count + 1, dtype=torch.bool)
    table[torch.from_numpy(chosen)] = True
    return table[donor.components]


def _feather(keep: Tensor) -> Tensor:
    # Two box filters are near enough to a Gaussian; the factor keeps the lesion's inside at full weight.
    blurred = F.avg_pool2d(F.avg_pool2d(keep.float()[None, None], 3, 1, 1), 3, 1, 1)[0, 0]
    return (2 * blurred).clamp(0, 1)
