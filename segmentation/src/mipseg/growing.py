"""From a mask of the projection to a tumour in 3-D: an estimate, since one projection hides what lies behind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.constants import FWHM, WINDOW_TOP_SUV
from mipseg.errors import ArgumentError
from mipseg.io.volume import Box, Volume
from mipseg.metrics import NEIGHBOURS
from mipseg.projection import AIR, Mip
from mipseg.types import BinaryMask, Voxels

BinaryVoxels: TypeAlias = npt.NDArray[np.bool_]
Rule: TypeAlias = Literal["41%max", "suv4", "liver"]
RULES: tuple[str, ...] = get_args(Rule)
DEFAULT_RULE: Rule = "41%max"
NEIGHBOURS_18 = ndimage.generate_binary_structure(3, 2)  # voxels that share a face or an edge

SHARE_OF_PEAK = 0.41  # Boellaard et al. 2015, Eur J Nucl Med Mol Imaging 42:328-354
FLOOR_SUV = 2.5  # below, 41 % of a peak is no lesion's edge but the body's background
FIXED_SUV = 4.0  # Barrington et al. 2021, J Nucl Med 62:332-337
REACH = 2.0  # radii of the mask's component that a lesion may reach from the hottest voxel of each ray, along the ray
RESOLUTION_MM = 8.0  # about a scanner's: hot spots that are smaller are noise, or belong to a lesion beside them
AROUND_MM = 30.0  # how far around a component a hot organ is looked for
_CIRCLE_MM2 = np.pi / 4 * RESOLUTION_MM**2
_FIRST_REACH = 16  # voxels around a seed that are looked at first

Level: TypeAlias = Callable[[float], float]
"""The value from which on voxels belong to a lesion with this peak."""


def grow(
    volume: Volume, mip: Mip, mask: npt.NDArray[Any], rule: Rule = DEFAULT_RULE, liver_level: float | None = None
) -> BinaryVoxels:
    """Estimate the tumour in 3-D.

    Each ray of the mask starts at its hottest voxel. From the hottest of these on, a lesion is what is connected to it
    (18 neighbours), at least as hot as the rule says, on a ray of the same component of the mask, and along the ray no
    farther from the ray's hottest voxel than two radii of that component. Where what was found lies for the most part
    outside of the mask, as a bladder does in front of a lesion, and the same rays hold another peak whose lesion does
    not, that one is taken instead, and rays that it does not reach keep nothing.

    A lesion has to be as large as a scanner can tell, or as half of the mask's component. Where none is, the region
    around the hottest place of the smoothed volume is taken, down to 41 % of its height over the other voxels on the
    component's rays. All other rays get one voxel, as deep as the nearest ray that was reached: their own hottest ones
    would be scattered by noise. So the estimate projects to the mask, and hangs together in depth.

    Args:
        volume: the volume.
        mip: its projection.
        mask: (H, W) bool, of the projection.
        rule: `41%max`: 41 % of the lesion's own peak, at least SUV 2.5, or without SUV as much of the window, which is
            taken for one that ends at SUV 6; `suv4`: SUV 4; `liver`: `liver_level`.
        liver_level: the level of a rule `liver`; see `mipseg.measure.regions.percist_level`.

    Returns:
        (Z, Y, X) bool.

    Raises:
        ArgumentError: an unknown rule, or one that needs SUV or a liver where there is none; a mask of another shape.
    """
    level = _level_of(rule, volume, mip, liver_level)
    rays = mip.rays_of(mask)
    tumour = np.zeros(volume.voxels.shape, bool)
    labels, _ = ndimage.label(rays, NEIGHBOURS)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        window = _widened(rows, volume.spacing[0], rays.shape[0]), _widened(columns, volume.spacing[2], rays.shape[1])
        box = (window[0], slice(None), window[1])
        inside = labels[window] == label
        reach = REACH * _radius(inside, volume.spacing) + volume.spacing[1]
        least = min(_CIRCLE_MM2 / (volume.spacing[0] * volume.spacing[2]), inside.sum() / 2)
        part = _Part(volume.voxels[box], inside, mip.depth[window], volume.spacing, level, reach, least)
        tumour[box] |= part.grow()
    return tumour


def _level_of(rule: str, volume: Volume, mip: Mip, liver_level: float | None) -> Level:
    if rule not in RULES:
        raise ArgumentError(f"the rule must be one of {', '.join(RULES)}, not {rule!r}")
    if rule == "41%max":
        # A window that was chosen where there is no SUV is what SUV 6 would be.
        floor = FLOOR_SUV if volume.unit == "suv" else FLOOR_SUV / WINDOW_TOP_SUV * mip.window_top
        return lambda peak: max(SHARE_OF_PEAK * peak, floor)
    if volume.unit != "suv":
        raise ArgumentError(f"the rule {rule} needs SUV; {volume.suv_reason}")
    if rule == "suv4":
        return lambda _: FIXED_SUV
    if liver_level is None:
        raise ArgumentError("the rule liver needs a liver, and none was found")
    return lambda _: liver_level


def _widened(side: slice, spacing_mm: float, size: int) -> slice:
    margin = round(AROUND_MM / spacing_mm)
    return slice(max(side.start - margin, 0), min(side.stop + margin, size))


def _radius(rays: BinaryMask, spacing: tuple[float, float, float]) -> float:
    """Of the largest circle in a component, in mm."""
    return float(ndimage.distance_transform_edt(np.pad(rays, 1), (spacing[0], spacing[2])).max())


@dataclass(frozen=True, eq=False)
class _Region:
    """Voxels that are connected.

    Attributes:
        box: of a part of the volume (z, Y, x), which holds them all.
        inside: which of the box's voxels they are.
    """

    box: Box
    inside: BinaryVoxels

    @property
    def rays(self) -> tuple[slice, slice]:
        """The box as it is seen along the rays."""
        return self.box[0], self.box[2]

    @property
    def shadow(self) -> BinaryMask:
        """Which of the box's rays they lie on."""
        return np.asarray(self.inside.any(axis=1))


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of the volume with one component of the mask, or some of it, and what lies around its rays.

    Attributes:
        values: (z, Y, x) float32.
        rays: (z, x) bool.
        depth: (z, x) index along axis 1 of the hottest voxel of each ray.
        spacing: of the voxels in mm.
        level: of the rule.
        reach_mm: along a ray.
        least_rays: that a lesion has to lie on.
    """

    values: Voxels
    rays: BinaryMask
    depth: npt.NDArray[np.int16]
    spacing: tuple[float, float, float]
    level: Level
    reach_mm: float
    least_rays: float

    def grow(self) -> BinaryVoxels:
        """The tumour on the component's rays, (z, Y, x) bool.

        Lesions lie in islands of voxels that are hot enough for any, and each island is dealt with in its own box: a
        component may span the body.
        """
        tumour = np.zeros(self.values.shape, bool)
        z, x = np.nonzero(self.rays)
        y = self.depth[z, x].astype(int)
        order = np.argsort(-self.values[z, y, x], kind="stable")
        seeds = np.stack([z, y, x], axis=1)[order]
        near, explained = self._within_reach(self.depth), np.zeros(self.rays.shape, bool)
        islands, _ = ndimage.label((self.values >= self.level(0.0)) & near, NEIGHBOURS_18)
        boxes = ndimage.find_objects(islands)
        island_of = islands[tuple(seeds.T)]
        for island in dict.fromkeys(island_of[island_of > 0].tolist()):  # the hottest first
            rows, _, columns = boxes[island - 1]
            window = (
                _widened(rows, self.spacing[0], len(self.rays)),
                _widened(columns, self.spacing[2], self.rays.shape[1]),
            )
            box = (window[0], slice(None), window[1])
            part = replace(self, values=self.values[box], rays=self.rays[window], depth=self.depth[window])
            start = (window[0].start, 0, window[1].start)
            part.add_lesions(tumour[box], seeds[island_of == island] - start, near[box], explained[window])
        if not tumour.any():
            self._add_hottest_place(tumour)
        self._add_other_rays(tumour, self.rays & ~explained & ~tumour.any(axis=1))
        return tumour

    def add_lesions(
        self, tumour: BinaryVoxels, seeds: npt.NDArray[np.int64], near: BinaryVoxels, explained: BinaryMask
    ) -> None:
        """Add the lesions of seeds, the hottest first.

        Args:
            tumour: (z, Y, x), receives them.
            seeds: (N, 3).
            near: (z, Y, x), where they may lie.
            explained: (z, x), receives the rays whose hottest voxel is an organ in front of a lesion.
        """
        for z, y, x in seeds.tolist():
            seed, level = (z, y, x), self.level(float(self.values[z, y, x]))
            if tumour[seed] or explained[z, x]:
                continue
            if tumour[max(z - 1, 0) : z + 2, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any():
                tumour[seed] = True  # the edge of a lesion
                continue
            lesion = self._connected(seed, partial(self._free, level, near, tumour))
            if np.count_nonzero(lesion.shadow) < self.least_rays:
                continue
            hidden = self._behind(seed, level, lesion)
            if hidden is not None:
                explained[lesion.rays] |= lesion.shadow
                lesion = hidden
            tumour[lesion.box] |= lesion.inside

    def _add_hottest_place(self, tumour: BinaryVoxels) -> None:
        """Add what is around the hottest place of the smoothed volume."""
        sigma = [RESOLUTION_MM / FWHM / side for side in self.spacing]
        smooth = np.where(self.rays[:, None], ndimage.gaussian_filter(self.values, sigma), -np.inf)
        place = np.unravel_index(smooth.argmax(), smooth.shape)
        seed = int(place[0]), int(place[1]), int(place[2])
        if smooth[seed] <= 0:  # air
            tumour[seed] = True
            return
        others = float(np.median(smooth[smooth > AIR * smooth[seed]]))
        hot = (smooth >= others + SHARE_OF_PEAK * (smooth[seed] - others)) & self._within_reach(seed[1])
        region = self._connected(seed, lambda box: hot[box])
        tumour[region.box] |= region.inside

    def _add_other_rays(self, tumour: BinaryVoxels, rays: BinaryMask) -> None:
        """Add one voxel on each of these rays, as deep as the tumour on the nearest other ray: nearest to its middle.

        The middle itself may be a gap, as in a lesion with a cold centre.
        """
        z, x = np.nonzero(rays)
        if z.size:
            first, behind = tumour.argmax(axis=1), tumour.shape[1] - tumour[:, ::-1].argmax(axis=1)
            near = ndimage.distance_transform_edt(
                ~tumour.any(axis=1), self.spacing[::2], return_distances=False, return_indices=True
            )
            near_z, near_x = near[:, z, x]
            middle = ((first + behind) // 2).astype(np.int16)[near_z, near_x, None]
            depth = np.arange(tumour.shape[1], dtype=np.int16)  # small, since many
            gap = np.where(tumour[near_z, :, near_x], np.abs(depth - middle), depth.size)
            tumour[z, gap.argmin(axis=1), x] = True

    def _free(self, level: float, near: BinaryVoxels, tumour: BinaryVoxels, box: Box) -> BinaryVoxels:
        """The voxels of a box that are hot enough, near enough and in no lesion yet."""
        return np.asarray((self.values[box] >= level) & near[box] & ~tumour[box])

    def _within_reach(self, depth: npt.NDArray[Any] | int) -> BinaryVoxels:
        """The voxels of the component's rays that lie near enough to a depth."""
        centre = np.broadcast_to(np.int16(depth), self.rays.shape)[:, None]
        gap = np.abs(np.arange(self.values.shape[1], dtype=np.int16)[:, None] - centre)  # voxels; small, since many
        return np.asarray(self.rays[:, None] & (gap <= int(self.reach_mm / self.spacing[1])))

    def _connected(self, seed: tuple[int, int, int], allowed: Callable[[Box], BinaryVoxels]) -> _Region:
        """What is connected to a seed. It is looked for in a small box first, since most lesions are small."""
        reach = _FIRST_REACH
        while True:
            start = [max(at - reach, 0) for at in seed]
            z, y, x = (slice(first, at + reach + 1) for first, at in zip(start, seed, strict=True))
            labels, _ = ndimage.label(allowed((z, y, x)), NEIGHBOURS_18)
            inside = labels == labels[tuple(at - first for at, first in zip(seed, start, strict=True))]
            if not self._reaches_beyond(inside, start):
                return _Region((z, y, x), inside)
            reach *= 2

    def _reaches_beyond(self, inside: BinaryVoxels, start: list[int]) -> bool:
        """Whether a region touches a face of its box that is not one of the part as well."""
        for axis, first in enumerate(start):
            near, far = (inside.take(index, axis).any() for index in (0, -1))
            if (near and first > 0) or (far and first + inside.shape[axis] < self.values.shape[axis]):
                return True
        return False

    def _is_contained(self, region: _Region) -> bool:
        return 2 * int((region.shadow & self.rays[region.rays]).sum()) >= int(region.shadow.sum())

    def _behind(self, seed: tuple[int, int, int], level: float, lesion: _Region) -> _Region | None:
        """The lesion on the same rays that a hotter organ hides; None where the seed's own is one, or no other is."""
        organ = self._connected(seed, lambda box: self.values[box] >= level)
        if self._is_contained(organ):
            return None
        outside = np.ones(self.values.shape, bool)
        outside[organ.box] = ~organ.inside
        outside = ~ndimage.binary_dilation(~outside, NEIGHBOURS_18)
        peaks = outside & self.rays[:, None] & (self.values == ndimage.maximum_filter(self.values, 3))
        if not peaks.any():
            return None
        place = np.unravel_index(np.where(peaks, self.values, -np.inf).argmax(), peaks.shape)
        peak = int(place[0]), int(place[1]), int(place[2])
        hot = (self.values >= self.level(float(self.values[peak]))) & outside
        if not hot[peak] or not self._is_contained(self._connected(peak, lambda box: hot[box])):
            return None
        within = hot & self._within_reach(peak[1])
        hidden = self._connected(peak, lambda box: within[box])
        shadow = np.zeros(self.rays.shape, bool)
        shadow[hidden.rays] = hidden.shadow
        shared = int((shadow[lesion.rays] & lesion.shadow).sum())
        return hidden if 2 * shared >= int(lesion.shadow.sum()) else None
