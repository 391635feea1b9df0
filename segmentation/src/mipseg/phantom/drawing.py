"""Synthetic whole-body FDG-PET phantoms: a volume or its MIP image, with the exact tumour mask.

The anatomy is a drawing of a reference adult, varied by seed; see `mipseg.phantom.anatomy` for its coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mipseg.constants import FWHM, PITCH_MM, WINDOW_TOP_SUV
from mipseg.phantom.anatomy import ARTERY, BOWEL, LEG, LEG_RADII, ORGANS, SITES, TRUNK, Organ, Point

Volume = npt.NDArray[np.float32]
Vector = Sequence[float] | npt.NDArray[np.float64]

MIN_SIDE = 64
PLANE_MM = 5.0  # front to back
SPACING_MM = (PITCH_MM, PLANE_MM, PITCH_MM)
PSF_FWHM_MM = 6.0
_PSF_SIGMA = tuple(PSF_FWHM_MM / FWHM / mm for mm in SPACING_MM)
# A body fits in this many rows and columns; the rest of a larger frame is air.
_MAX_ROWS, _PLANES, _MAX_COLUMNS = 1080, 49, 290


@dataclass(frozen=True)
class Phantom:
    """One synthetic patient: (H, W) images of 2 mm pixels, head at the top, patient right at image left."""

    mip: npt.NDArray[np.uint8]  # maximum-intensity projection; 255 is SUV 0 (air), 0 is SUV 6 or more
    mask: npt.NDArray[np.bool_]  # projection of the 3-D tumour mask along the same rays


@dataclass(frozen=True, eq=False)
class VolumePhantom:
    """One synthetic patient in 3-D, (Z, Y, X): from feet to head, from front to back, from right to left."""

    suv: Volume  # with count noise and point spread; of `SPACING_MM`
    mask: npt.NDArray[np.bool_]  # tumour: above half of each lesion's own maximum over its surroundings


@dataclass(frozen=True)
class _Canvas:
    """A volume to paint on: float32 SUV (Z, Y, X), the mm coordinates of each axis, a random source."""

    suv: Volume
    axes: tuple[Volume, Volume, Volume]
    rng: np.random.Generator

    def region(self, centre: Vector, reach: Vector) -> tuple[tuple[slice, ...], tuple[Volume, ...]]:
        """Return the index ranges around a point and z, y, x in mm from it, shaped to broadcast."""
        limits = zip(self.axes, centre, reach, strict=True)
        box = tuple(slice(*np.searchsorted(a, (c - r, c + r)).tolist()) for a, c, r in limits)
        return box, np.ix_(*(a[i] - np.float32(c) for a, i, c in zip(self.axes, box, centre, strict=True)))

    def blob(self, organ: Organ, suv: float) -> None:
        """Paint an ellipsoid with an uneven surface."""
        rz, ry, rx = organ.radii
        reach = (1.3 * rz, 1.3 * ry, 1.3 * (rx + abs(organ.tilt) * rz))
        box, (z, y, x) = self.region(organ.centre, reach)
        u, v, w = z / rz, y / ry, (x - organ.tilt * z) / rx
        a, b, c, d = self.rng.uniform(0, 2 * np.pi, 4)
        waves = np.sin(3 * u + a) + np.sin(3 * w + b) + np.sin(9 * u + c) * np.sin(9 * w + d)
        inside = u**2 + v**2 + w**2 < 1 + organ.lumps * waves
        part = self.suv[box]
        part[inside if organ.cold else inside & (part < suv)] = suv

    def tube(self, points: Sequence[Point], radii: Sequence[float], suv: float, side: int = 1) -> None:
        """Paint capsules along the points, with a radius at each; ``side`` -1 mirrors them."""
        line = np.array(points) * (1, 1, side)
        for (start, r0), (end, r1) in pairwise(zip(line, radii, strict=True)):
            box, (z, y, x) = self.region((start + end) / 2, np.abs(end - start) / 2 + max(r0, r1))
            dz, dy, dx = (end - start).tolist()
            along = np.clip((z * dz + y * dy + x * dx) / (dz**2 + dy**2 + dx**2), -0.5, 0.5)
            gap = (z - along * dz) ** 2 + (y - along * dy) ** 2 + (x - along * dx) ** 2
            part = self.suv[box]
            part[(gap < (r0 + (along + 0.5) * (r1 - r0)) ** 2) & (part < suv)] = suv


def _new_canvas(rng: np.random.Generator, height: int, width: int) -> _Canvas:
    """Return an empty canvas for the part of the body that the frame shows."""
    start = rng.uniform(5, 60) if rng.random() < 0.85 else rng.uniform(-30, 5)
    if height >= 700:  # room for the hands above the head
        start = rng.uniform(-100, -20)
    elif height < 400:  # a short scan shows the trunk
        start = 214 + (363 - height) + rng.uniform(-20, 20)
    rows, columns = min(height, _MAX_ROWS), min(width, _MAX_COLUMNS)
    z = start + np.arange(rows, dtype=np.float32) * (PITCH_MM / rng.uniform(0.94, 1.06))
    y = (np.arange(_PLANES, dtype=np.float32) - _PLANES // 2) * PLANE_MM
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * PITCH_MM + rng.uniform(-10, 10)
    return _Canvas(np.zeros((rows, _PLANES, columns), np.float32), (z, y, x), rng)


def _paint_body(canvas: _Canvas) -> None:
    """Paint fat and mottled muscle of trunk, head, arms (mostly up) and legs."""
    rng = canvas.rng
    girth, spread, arms_up = rng.uniform(0.86, 1.12), rng.uniform(-6, 8), rng.random() < 0.93
    fat, muscle = rng.uniform(0.24, 0.36), rng.uniform(0.5, 0.75)
    z, y, x = np.ix_(*canvas.axes)
    wide, deep = (np.interp(z, TRUNK[:, 0], TRUNK[:, i], 0.1, 0.1).astype(np.float32) for i in (1, 2))
    across = np.abs(x / (wide * girth)) ** 2.4
    along = np.abs(y / (deep * min(girth, 1.05))) ** 2.4
    canvas.suv[across + along < 1] = fat
    canvas.suv[across + along < 0.65] = muscle
    canvas.blob(Organ((95, 5, 0), (97, 96, 77)), muscle)
    canvas.tube([(140, -5, 0), (270, 10, 0)], (60, 60), muscle)
    for side in (-1, 1):
        bend, hand_x = rng.uniform((-15, 20), (15, 150)).tolist()
        arm: list[Point] = [(290, 5, 172 * girth), (560 + bend, 20, 236), (810, 0, 232)]
        if arms_up:
            arm = [(300, 5, 150 * girth), (60 + bend, -10, 202 + 1.5 * bend), (-70, -50, hand_x)]
        leg = [(z, y, x * girth**0.5 + spread * (z - 800) / 500) for z, y, x in LEG]
        for suv, scale in ((fat, 1.0), (muscle, 0.82)):
            canvas.tube(arm, [r * girth * scale for r in (52, 42, 28)], suv, side)
            canvas.tube(leg, [r * girth**0.5 * scale for r in LEG_RADII], suv, side)
    rows, planes, columns = canvas.suv.shape
    mottle = rng.lognormal(0, 0.3, (rows // 4 + 1, planes, columns // 4 + 1)).astype(np.float32)
    canvas.suv[:] *= mottle.repeat(4, axis=0).repeat(4, axis=2)[:rows, :, :columns]


def _paint_organs(canvas: _Canvas) -> None:
    """Paint the table of organs, the left ventricle, vessels and genitals."""
    rng = canvas.rng
    for organ in ORGANS:
        suv = rng.uniform(*organ.suv)
        for side in (1, -1) if organ.paired else (1,):
            z, y, x = np.array(organ.centre) + rng.normal(0, 3, 3)
            rz, ry, rx = np.array(organ.radii) * rng.normal(1, 0.05, 3)
            canvas.blob(organ._replace(centre=(z, y, side * x), radii=(rz, ry, rx)), suv)
    pool = rng.uniform(1.3, 1.7)
    wall = Organ((445, -28, 46), (40, 38, 34), tilt=0.3, lumps=0.06)
    canvas.blob(wall, rng.choice((1.8, 4.0, 9.0, 14.0)) * rng.uniform(0.8, 1.2))
    canvas.blob(wall._replace(radii=(25, 23, 19), cold=True), pool)
    for side in (-1, 1):
        first = 0 if side > 0 else 5  # only the branches below the aorta are paired
        canvas.tube(ARTERY[first:], np.linspace(14, 4, len(ARTERY))[first:].tolist(), pool, side)
    canvas.tube([(850, -60, 0), (960, -85, rng.normal(0, 6))], (13, 17), rng.choice((0, 0, 1.2, 1.7)))


def _paint_skeleton(canvas: _Canvas) -> None:
    """Paint spine, pelvis and ribs with one marrow intensity, now and then activated."""
    rng = canvas.rng
    marrow = rng.uniform(1.0, 1.5) if rng.random() < 0.85 else rng.uniform(1.8, 3.0)
    sizes = np.linspace(14, 34, 22)
    for z, size in zip(176 + np.cumsum(sizes), sizes, strict=True):
        y = float(np.interp(z, (190, 400, 600, 725), (20, 62, 48, 58)))
        canvas.blob(Organ((z, y, 0), (0.45 * size, 15, 0.68 * size)), marrow)
    canvas.blob(Organ((752, 75, 0), (42, 20, 38)), marrow)
    for side in (-1, 1):
        canvas.blob(Organ((720, 45, 74 * side), (50, 24, 15), tilt=-0.6 * side), 0.9 * marrow)
        for top in range(280, 500, 24):
            wide = float(np.interp(top, (280, 400, 500), (95, 138, 146)))
            rib = [(top + 28 * t, 85 * np.cos(t), wide * np.sin(t)) for t in np.linspace(0.25, 2.6, 8)]
            canvas.tube(rib, [4.5] * len(rib), 0.7 * marrow, side)


def _paint_excretion(canvas: _Canvas) -> None:
    """Paint what varies most: kidneys, ureters, bladder and bowel."""
    rng = canvas.rng
    urine = rng.uniform(6, 16)
    for side in (-1, 1):
        z, x = 552 + rng.normal(0, 8), side * (66 + rng.normal(0, 4))
        canvas.blob(Organ((z, 45, x), (52, 26, 26), tilt=0.25 * side), rng.uniform(2.0, 3.2))
        for dz, dx, r in rng.uniform((-42, -20, 3), (42, 20, 6), (rng.integers(10, 24), 3)):
            spot = Organ((z + dz, 45, x + dx + 0.25 * side * dz), (1.3 * r, r, r))
            canvas.blob(spot, urine * rng.uniform(0.3, 1.1))
        ureter = [(z, 42, x - 18 * side), (650, 38, 40 * side), (720, 30, 36 * side), (800, 10, 22 * side)]
        for part in pairwise(ureter):
            canvas.tube(part, (3.0, 2.0), urine * rng.choice((0, 0, 0.4, 1)))
    rz, ry, rx = np.array((26, 32, 36)) * rng.uniform(0.7, 1.2, 3)
    canvas.blob(Organ((798, -20, rng.normal(0, 6)), (rz, ry, rx), lumps=0.06), 2 * urine)
    loud = rng.lognormal(0, 0.5)
    for part in pairwise((BOWEL + rng.normal(0, 7, BOWEL.shape)).tolist()):
        canvas.tube(part, rng.uniform(10, 20, 2).tolist(), min(1.2 + 0.35 * loud * rng.lognormal(0, 0.7), 7))
    for z, y, x in rng.normal((680, -30, 0), (40, 18, 42), (40, 3)):
        rz, ry, rx = rng.uniform(7, 15, 3)
        canvas.blob(Organ((z, y, x), (rz, ry, rx), lumps=0.1), 1.1 + 0.3 * loud * rng.lognormal(0, 0.5))


def _paint_lesion(canvas: _Canvas, mask: npt.NDArray[np.bool_], centre: Vector, radius: float) -> None:
    """Paint one lobulated lesion of about ``radius`` mm and add its outline to the mask (Z, Y, X)."""
    rng = canvas.rng
    box, _ = canvas.region(centre, [2.5 * radius + 2 * PSF_FWHM_MM] * 3)
    part = canvas.suv[box]
    before = part.copy()
    suv = min(4 + rng.lognormal(1.4, 0.8), 20)
    for lobe in range(rng.integers(1, 5)):
        z, y, x = centre + (lobe > 0) * rng.uniform(-0.8, 0.8, 3) * radius
        rz, ry, rx = radius * rng.uniform(0.6, 1.1, 3)
        canvas.blob(Organ((z, y, x), (rz, ry, rx), lumps=0.12), suv)
    part[before == 0] = 0  # no disease in the air
    # Readers draw near half of a lesion's own maximum; here that is taken above its surroundings.
    excess = ndimage.gaussian_filter(part - before, _PSF_SIGMA)
    mask[box] |= excess > 0.5 * excess.max(initial=0)


def _paint_tumours(canvas: _Canvas) -> npt.NDArray[np.bool_]:
    """Paint 1 to about 12 lesions at sites that the frame shows and return their 3-D mask, never empty."""
    rng = canvas.rng
    mask = np.zeros(canvas.suv.shape, dtype=np.bool_)
    shown = [all(a[0] < c < a[-1] for a, c in zip(canvas.axes, site, strict=False)) for site in SITES]
    sites = rng.choice(SITES[shown], rng.integers(1, 5))
    radii = np.maximum(rng.lognormal(np.log(8), 0.45, min(int(rng.exponential(5)), 11)), 4).tolist()
    radii.append(max(14.0, min(45.0, rng.lognormal(np.log(18), 0.45))))
    while radii:
        site = rng.choice(sites)
        _paint_lesion(canvas, mask, rng.normal(site[:3], site[3:]), radii[-1])
        if np.count_nonzero(mask) > 150:  # 3 ml: the first may miss the body or drown in a hotter organ
            radii.pop()
    return mask


def _scan(suv: Volume, rng: np.random.Generator) -> Volume:
    """Return what a scanner shows of a (Z, Y, X) SUV volume: with count noise and point spread."""
    volume = rng.standard_exponential(suv.shape, dtype=np.float32)
    volume -= 1
    # As with counts, the variance follows the intensity; noise before the blur has the blur's grain.
    volume *= np.sqrt(suv) * np.float32(rng.uniform(0.7, 1.8))
    volume += suv
    ndimage.gaussian_filter(volume, _PSF_SIGMA, output=volume, truncate=3)
    # Sensitivity falls at both ends of the scan, so the outermost rows are noisy; alike along each ray.
    edge = np.arange(volume.shape[0], dtype=np.float32)[:, None]
    grain = rng.standard_normal((volume.shape[0], volume.shape[2]), dtype=np.float32)
    grain *= 1.8 * np.exp(-np.minimum(edge, edge[::-1]) / 1.5)
    # But not beyond the image's window, where only an organ shows more.
    hottest = np.maximum(volume.max(axis=1), np.float32(1e-3))
    volume *= np.minimum(np.exp(grain), np.maximum(WINDOW_TOP_SUV / hottest, 1))[:, None]
    return volume


def _draw(seed: int, height: int, width: int, tumours: bool) -> tuple[Volume, npt.NDArray[np.bool_]]:
    """Return the scan and the tumour mask of a patient, head first; narrower than the frame where that is large."""
    if height < MIN_SIDE or width < MIN_SIDE:
        raise ValueError(f"phantom height and width must be at least {MIN_SIDE}, got {height} and {width}")
    canvas = _new_canvas(np.random.default_rng(seed), height, width)
    for paint in (_paint_body, _paint_organs, _paint_skeleton, _paint_excretion):
        paint(canvas)
    mask = _paint_tumours(canvas) if tumours else np.zeros(canvas.suv.shape, dtype=np.bool_)
    # Noise of its own stream: patient and control of one seed differ in the tumours only.
    return _scan(canvas.suv, np.random.default_rng((seed, 1))), mask


def make_phantom(seed: int, *, height: int = 489, width: int = 400, tumours: bool = True) -> Phantom:
    """Draw one synthetic patient or healthy control.

    Args:
        seed: Non-negative; the same arguments give bit-identical output.
        height: Rows of 2 mm, at least 64; 489 shows eyes to mid-thigh, 930 the whole body, 350 the trunk.
        width: Columns of 2 mm, at least 64; the body is about 200 wide and centred.
        tumours: Whether to add disease; the image without it is otherwise the same.

    Returns:
        A phantom of (height, width) images. The mask has at least one pixel with tumours, none without.

    Raises:
        ValueError: If height or width is below 64.
    """
    suv, tumour = _draw(seed, height, width, tumours)
    rows, _, columns = suv.shape
    window = (slice(rows), slice((width - columns) // 2, (width + columns) // 2))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[window] = tumour.max(axis=1)
    mip = np.full((height, width), 255, dtype=np.uint8)
    mip[window] = np.rint(255 * (1 - np.clip(suv.max(axis=1) / WINDOW_TOP_SUV, 0, 1)))
    return Phantom(mip, mask)


def make_volume_phantom(seed: int, *, height: int = 489, tumours: bool = True) -> VolumePhantom:
    """The volume of which `make_phantom` shows the projection.

    Args:
        seed: As of `make_phantom`.
        height: As of `make_phantom`; at most 1080 are drawn.
        tumours: As of `make_phantom`.

    Returns:
        (height, 49, 290) arrays.

    Raises:
        ValueError: If height is below 64.
    """
    suv, mask = _draw(seed, height, _MAX_COLUMNS, tumours)
    return VolumePhantom(np.ascontiguousarray(suv[::-1]), np.ascontiguousarray(mask[::-1]))
