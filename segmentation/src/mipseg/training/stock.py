"""The training images, all in one place on the device that trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from mipseg.io.dataset import Case
from mipseg.metrics import NEIGHBOURS
from mipseg.model.preprocess import body_columns

PATIENT, CONTROL, UNLABELLED = range(3)  # kinds of cases; the last are patients without reference
CERTAIN = 128  # target from which a pixel belongs to a component; 255 is certain tumour
SAME_LESION = 30.0  # px between the centres of components that may be one lesion in three dimensions


@dataclass
class Stock:
    """N images and what is tumour in them, padded to one size.

    Attributes:
        images: (N, H, W) uint8, air = 0, hottest = 255.
        targets: (N, H, W) uint8, 255 times the probability of tumour: 0 or 255 where a reference says so.
        components: (N, H, W) int16 labels of the components of certain tumour, 0 where there is none; at most C.
        counts: (N,) number of components.
        places: (N, C, 2) float32 (x, y) of each component's middle.
        extents: (N, C) float32 square root of each component's area, px.
        heights: (N,) float32 rows of each image before padding.
        centres: (N,) float32 column of the middle of each body.
        groups: numbers of the cases of each kind: `PATIENT`, `CONTROL`, `UNLABELLED`.
    """

    images: Tensor
    targets: Tensor
    components: Tensor
    counts: Tensor
    places: Tensor
    extents: Tensor
    heights: Tensor
    centres: Tensor
    groups: tuple[Tensor, Tensor, Tensor]

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self.images.device

    def set_targets(self, numbers: Sequence[int], targets: Sequence[npt.NDArray[np.uint8]]) -> None:
        """Replace what is tumour in some images.

        Args:
            numbers: of the images.
            targets: (H, W) of each, before padding; see the attribute.
        """
        for number, target in zip(numbers, targets, strict=True):
            self._set_target(number, target, _components_of(target))

    def _set_target(self, number: int, target: npt.NDArray[np.uint8], found: "_Components") -> None:
        rows, columns = target.shape
        count = min(len(found.extents), self.places.shape[1])
        labels = np.where(found.labels > count, np.int16(0), found.labels)  # more than there is room for
        self.targets[number, :rows, :columns] = torch.from_numpy(target).to(self.device)
        self.components[number, :rows, :columns] = torch.from_numpy(labels).to(self.device)
        self.counts[number] = count
        self.places[number, :count] = torch.from_numpy(found.places[:count]).to(self.device)
        self.extents[number, :count] = torch.from_numpy(found.extents[:count]).to(self.device)


class _Components(NamedTuple):
    """The components of one target: (H, W) int16 labels, and the rows of `Stock.places` and `Stock.extents`."""

    labels: npt.NDArray[np.int16]
    places: npt.NDArray[np.float32]
    extents: npt.NDArray[np.float32]


def _components_of(target: npt.NDArray[np.uint8]) -> _Components:
    labels, count = ndimage.label(target >= CERTAIN, NEIGHBOURS)
    middles = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, count + 1))).reshape(count, 2)[:, ::-1]
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return _Components(labels.astype(np.int16), (middles + 0.5).astype(np.float32), np.sqrt(areas).astype(np.float32))


def make_stock(cases: Sequence[Case], unlabelled: Sequence[Case], device: torch.device) -> Stock:
    """Put cases on a device: first those with a reference, then the patients without one, who have no tumour yet.

    Args:
        cases: patients and controls.
        unlabelled: patients without reference.
        device: takes about 2.5 MB a case.
    """
    everyone = [*cases, *unlabelled]
    size, shape = len(everyone), np.max([case.image.shape for case in everyone], 0).tolist()
    targets = {
        number: case.mask.astype(np.uint8) * np.uint8(255) for number, case in enumerate(cases) if case.has_tumour
    }
    found = {number: _components_of(target) for number, target in targets.items()}
    most = max([1, *(len(components.extents) for components in found.values())])
    kinds = [PATIENT if case.has_tumour else CONTROL for case in cases] + [UNLABELLED] * len(unlabelled)
    stock = Stock(
        images=torch.zeros((size, *shape), dtype=torch.uint8, device=device),
        targets=torch.zeros((size, *shape), dtype=torch.uint8, device=device),
        components=torch.zeros((size, *shape), dtype=torch.int16, device=device),
        counts=torch.zeros(size, dtype=torch.long, device=device),
        places=torch.zeros((size, most, 2), device=device),
        extents=torch.ones((size, most), device=device),
        heights=torch.tensor([float(case.image.shape[0]) for case in everyone], device=device),
        centres=torch.tensor([_centre(case) for case in everyone], device=device),
        groups=tuple(
            torch.tensor(np.flatnonzero(np.equal(kinds, kind)), device=device)
            for kind in (PATIENT, CONTROL, UNLABELLED)
        ),  # type: ignore[arg-type]
    )
    for number, case in enumerate(everyone):
        rows, columns = case.image.shape
        stock.images[number, :rows, :columns] = torch.from_numpy(255 - case.image)
    for number, target in targets.items():
        stock._set_target(number, target, found[number])
    return stock


def _centre(case: Case) -> float:
    columns = body_columns(case.intensity)
    return (columns.start + columns.stop) / 2
