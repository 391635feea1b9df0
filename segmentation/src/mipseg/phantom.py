"""Synthetic whole-body FDG-PET phantoms: a MIP image and its exact tumour mask.

The anatomy is a drawing in millimetres of a reference adult, varied by seed. Points are ``(z, y, x)``:
z runs from the top of the head (0) to the feet (about 1790), y from front (negative) to back, x from the
patient's right (negative, image left) to the left. Intensities are standardised uptake values (SUV, g/ml).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Volume = npt.NDArray[np.float32]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]

MIN_SIDE = 64
PIXEL_MM, PLANE_MM = 2.0, 5.0  # in the image; front to back
WINDOW_TOP_SUV = 6.0
PSF_FWHM_MM = 6.0
_PSF_SIGMA = tuple(PSF_FWHM_MM / 2.3548 / mm for mm in (PIXEL_MM, PLANE_MM, PIXEL_MM))
# A body fits in this many rows and columns; the rest of a larger frame is air.
_MAX_ROWS, _PLANES, _MAX_COLUMNS = 1080, 51, 290


class _Organ(NamedTuple):
    """An ellipsoid: centre and radii in mm, uptake range in SUV, shape and how it is painted."""

    centre: Point
    radii: Point
    suv: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0  # dx/dz of the long axis
    lumps: float = 0.03  # unevenness of the surface
    paired: bool = False  # has a mirror image
    cold: bool = False  # replaces what is there; other organs never lower it


_ORGANS = (
    _Organ((600, -5, 0), (175, 84, 122), (0.9, 1.2)),  # abdominal cavity
    _Organ((390, 5, 78), (130, 78, 56), (0.35, 0.45), paired=True, cold=True),  # lungs
    _Organ((68, 5, 0), (57, 80, 66), (8.0, 14.0), lumps=0.1),  # brain
    _Organ((150, -20, 0), (50, 45, 45), (0.9, 1.2)),  # face
    _Organ((152, -30, 15), (10, 9, 8), (1.5, 4.5), paired=True),  # tonsils
    _Organ((180, -30, 30), (14, 10, 10), (1.3, 2.6), paired=True),  # salivary glands
    _Organ((165, -50, 0), (16, 20, 18), (1.4, 2.4)),  # tongue
    _Organ((226, -30, 0), (11, 10, 11), (1.2, 3.6)),  # larynx
    _Organ((350, -15, 4), (75, 30, 28), (1.2, 1.6)),  # mediastinum
    _Organ((430, -30, 12), (50, 45, 50), (1.3, 1.7)),  # heart chambers
    _Organ((512, -5, -80), (78, 78, 64), (2.0, 2.5), tilt=-0.15),  # liver: body, left lobe, tip
    _Organ((478, -35, -12), (38, 42, 66), (2.0, 2.4), tilt=0.3),
    _Organ((565, 5, -106), (62, 42, 32), (2.0, 2.3), tilt=-0.1),
    _Organ((492, 50, 108), (50, 32, 26), (1.6, 2.1), tilt=0.3),  # spleen
    _Organ((505, -35, 68), (42, 30, 38), (1.0, 2.1), tilt=-0.3),  # stomach
)
_BOWEL = np.array([
    (735, 0, -92), (670, 5, -108), (600, 0, -108), (592, -45, -62), (618, -62, 0), (590, -45, 70),
    (565, 0, 112), (640, 10, 116), (720, 10, 106), (762, 0, 66), (765, -10, 22), (800, 40, 4),
])  # fmt: skip
_CAROTID = ((310.0, 0.0, 20.0), (285, 0, 32), (180, 10, 34))
_AORTA_TO_FOOT = (
    (430.0, -20.0, 0.0), (345, -12, 4), (335, 10, 16), (420, 48, 24), (560, 50, 12), (690, 42, 4),
    (770, 20, 45), (850, -25, 66), (1000, 0, 76), (1200, 25, 68), (1640, 15, 48),
)  # fmt: skip
_LEG = (
    (800, 10, 90), (950, 5, 92), (1200, 5, 76), (1330, 12, 70), (1640, 12, 48), (1690, 20, 50), (1770, -60, 58),
)  # fmt: skip
_LEG_RADII = (86, 85, 56, 54, 31, 33, 25)
# Columns: z, half-width and half-depth of the trunk in mm.
_TRUNK = np.array([
    (185, 20, 35), (215, 66, 50), (245, 120, 62), (280, 172, 80), (320, 196, 96), (440, 182, 112),
    (540, 168, 112), (620, 162, 110), (700, 172, 110), (790, 184, 110), (860, 182, 105), (940, 10, 60),
])  # fmt: skip
# Where disease starts, centre and spread in mm: mediastinum and lungs, neck, axillae, liver, spine,
# retroperitoneum, pelvis, groins, ribs.
_SITES = np.array([
    (370, 0, 0, 45, 20, 25), (350, 0, 0, 35, 20, 35), (380, 0, 75, 55, 30, 25), (380, 0, -75, 55, 30, 25),
    (225, 0, 42, 30, 12, 8), (225, 0, -42, 30, 12, 8), (310, 0, 135, 20, 15, 12), (310, 0, -135, 20, 15, 12),
    (510, 0, -75, 35, 25, 28), (560, 55, 0, 140, 5, 8), (640, 35, 0, 60, 10, 22), (740, 50, 0, 35, 15, 60),
    (850, -20, 70, 25, 10, 12), (850, -20, -70, 25, 10, 12), (420, 0, 0, 80, 60, 120),
])  # fmt: skip


@dataclass(frozen=True)
class Phantom:
    """One synthetic patient.

    Attributes:
        mip: (H, W) uint8 maximum-intensity projection with 2 mm pixels, head at the top, patient right at
            image left; 255 is SUV 0 (air), 0 is SUV 6 or more.
        mask: (H, W) bool, projection of the 3-D tumour mask along the same rays.
    """

    mip: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Canvas:
    """A volume to paint on: float32 SUV (Z, Y, X), the mm coordinates of each axis, a random source."""

    suv: Volume
    axes: tuple[Volume, Volume, Volume]
    rng: np.random.Generator

    def box(self, centre: Sequence[float], reach: Sequence[float]) -> Box:
        """Return the index ranges within ``reach`` mm of a point along each axis; they may be empty."""
        limits = zip(self.axes, centre, reach, strict=True)
        z, y, x = (slice(*np.searchsorted(a, (c - r, c + r)).tolist()) for a, c, r in limits)
        return z, y, x

    def local(self, box: Box, origin: Point) -> tuple[Volume, ...]:
        """Return z, y and x in mm from ``origin`` inside a box, shaped to broadcast."""
        parts = zip(self.axes, box, origin, strict=True)
        return np.ix_(*(axis[part] - np.float32(zero) for axis, part, zero in parts))

    def blob(self, organ: _Organ, suv: float) -> None:
        """Paint an ellipsoid with an uneven surface."""
        rz, ry, rx = organ.radii
        box = self.box(organ.centre, (1.3 * rz, 1.3 * ry, 1.3 * (rx + abs(organ.tilt) * rz)))
        z, y, x = self.local(box, organ.centre)
        u, v, w = z / rz, y / ry, (x - organ.tilt * z) / rx
        a, b, c, d = self.rng.uniform(0, 2 * np.pi, 4)
        waves = np.sin(3 * u + a) + np.sin(3 * w + b) + np.sin(9 * u + c) * np.sin(9 * w + d)
        inside = u**2 + v**2 + w**2 < 1 + organ.lumps * waves
        part = self.suv[box]
        part[inside if organ.cold else inside & (part < suv)] = suv

    def tube(self, points: Sequence[Point], radii: Sequence[float], suv: float) -> None:
        """Paint a line of capsules with a radius at each point."""
        for (start, r0), (end, r1) in pairwise(zip(points, radii, strict=True)):
            half = [(e - s) / 2 for s, e in zip(start, end, strict=True)]
            middle = [s + h for s, h in zip(start, half, strict=True)]
            box = self.box(middle, [abs(h) + max(r0, r1) for h in half])
            z, y, x = self.local(box, start)
            dz, dy, dx = (2 * h for h in half)
            along = np.clip((z * dz + y * dy + x * dx) / (dz**2 + dy**2 + dx**2), 0, 1)
            gap = (z - along * dz) ** 2 + (y - along * dy) ** 2 + (x - along * dx) ** 2
            part = self.suv[box]
            part[(gap < (r0 + along * (r1 - r0)) ** 2) & (part < suv)] = suv


def _mirror(points: Sequence[Point], side: int) -> list[Point]:
    return [(z, y, side * x) for z, y, x in points]


def _new_canvas(rng: np.random.Generator, height: int, width: int) -> _Canvas:
    """Return an empty canvas for the part of the body that the frame shows."""
    start = rng.uniform(5, 60) if rng.random() < 0.85 else rng.uniform(-30, 5)
    if height >= 700:  # room for the hands above the head
        start = rng.uniform(-100, -20)
    elif height < 400:  # a short scan shows the trunk
        start = 214 + (363 - height) + rng.uniform(-20, 20)
    rows, columns = min(height, _MAX_ROWS), min(width, _MAX_COLUMNS)
    z = start + np.arange(rows) * PIXEL_MM / rng.uniform(0.94, 1.06)
    y = (np.arange(_PLANES) - _PLANES // 2) * PLANE_MM
    x = (np.arange(columns) - (columns - 1) / 2) * PIXEL_MM + rng.uniform(-10, 10)
    axes = (z.astype(np.float32), y.astype(np.float32), x.astype(np.float32))
    return _Canvas(np.zeros((rows, _PLANES, columns), np.float32), axes, rng)


def _paint_body(canvas: _Canvas) -> None:
    """Paint fat and mottled muscle of trunk, head, arms (mostly up) and legs."""
    rng = canvas.rng
    girth, spread, arms_up = rng.uniform(0.86, 1.12), rng.uniform(-6, 8), rng.random() < 0.93
    fat, muscle = rng.uniform(0.22, 0.32), rng.uniform(0.45, 0.65)
    z, y, x = canvas.local((slice(None), slice(None), slice(None)), (0, 0, 0))
    wide, deep = (np.interp(z, _TRUNK[:, 0], _TRUNK[:, i], 0.1, 0.1).astype(np.float32) for i in (1, 2))
    radius = np.abs(x / (wide * girth)) ** 2.4 + np.abs(y / (deep * min(girth, 1.05))) ** 2.4
    canvas.suv[radius < 1] = fat
    canvas.suv[radius < 0.65] = muscle
    canvas.blob(_Organ((95, 5, 0), (97, 96, 77)), muscle)
    canvas.blob(_Organ((165, -20, 0), (40, 60, 58)), muscle)
    canvas.tube([(150, 10, 0), (270, 10, 0)], (56, 62), muscle)
    elbow_x, hand_x = rng.uniform(180, 235), rng.uniform(20, 150)
    for side in (-1, 1):
        bend = rng.uniform(-15, 15)
        arm: list[Point] = [(290, 5, 172 * girth), (560 + bend, 20, 236), (810, 0, 232)]
        if arms_up:
            arm = [(300, 5, 150 * girth), (60 + bend, -10, elbow_x + bend), (-70, -50, hand_x)]
        leg = [(z, y, x * girth**0.5 + spread * (z - 800) / 500) for z, y, x in _LEG]
        for suv, scale in ((fat, 1.0), (muscle, 0.82)):
            canvas.tube(_mirror(arm, side), [r * girth * scale for r in (58, 45, 29)], suv)
            canvas.tube(_mirror(leg, side), [r * girth**0.5 * scale for r in _LEG_RADII], suv)
    rows, planes, columns = canvas.suv.shape
    mottle = rng.lognormal(0, 0.3, (rows // 4 + 1, planes, columns // 4 + 1)).astype(np.float32)
    canvas.suv[:] *= mottle.repeat(4, axis=0).repeat(4, axis=2)[:rows, :, :columns]


def _paint_organs(canvas: _Canvas) -> None:
    """Paint the table of organs, the left ventricle, vessels and genitals."""
    rng = canvas.rng
    for organ in _ORGANS:
        suv = rng.uniform(*organ.suv)
        for side in (1, -1) if organ.paired else (1,):
            z, y, x = np.array(organ.centre) + rng.normal(0, 3, 3)
            rz, ry, rx = np.array(organ.radii) * rng.normal(1, 0.05, 3)
            canvas.blob(organ._replace(centre=(z, y, side * x), radii=(rz, ry, rx)), suv)
    pool = rng.uniform(1.3, 1.7)
    wall = _Organ((445, -28, 46), (40, 38, 34), tilt=0.3, lumps=0.06)
    canvas.blob(wall, rng.choice((1.8, 4.0, 9.0, 14.0)) * rng.uniform(0.8, 1.2))
    canvas.blob(wall._replace(radii=(25, 23, 19), cold=True), pool)
    for side in (-1, 1):
        canvas.tube(_mirror(_CAROTID, side), (6, 5, 4), pool)
        canvas.tube(_mirror(_AORTA_TO_FOOT, side), (14, 14, 13, 13, 11, 9, 7, 6, 5, 4, 4), pool)
    if rng.random() < 0.5:
        canvas.tube([(850, -60, 0), (960, -85, rng.normal(0, 6))], (13, 17), rng.uniform(1.1, 1.8))


def _paint_skeleton(canvas: _Canvas) -> None:
    """Paint spine, pelvis and ribs with one marrow uptake, now and then activated."""
    rng = canvas.rng
    marrow = rng.uniform(1.0, 1.5) if rng.random() < 0.85 else rng.uniform(1.8, 3.0)
    sizes = np.linspace(14, 34, 22)
    for z, size in zip(176 + np.cumsum(sizes), sizes, strict=True):
        y = float(np.interp(z, (190, 400, 600, 725), (20, 62, 48, 58)))
        canvas.blob(_Organ((z, y, 0), (0.45 * size, 15, 0.68 * size)), marrow)
    canvas.blob(_Organ((752, 75, 0), (42, 20, 38)), marrow)
    for side in (-1, 1):
        canvas.blob(_Organ((720, 45, 74 * side), (50, 24, 15), tilt=-0.6 * side), 0.9 * marrow)
        for top in range(280, 500, 24):
            reach = side * float(np.interp(top, (280, 400, 500), (95, 138, 146)))
            turns = np.linspace(0.25, 2.6, 8)
            rib = [(top + 28 * t, 85 * np.cos(t), reach * np.sin(t)) for t in turns]
            canvas.tube(rib, [4.5] * len(rib), 0.75 * marrow)


def _paint_excretion(canvas: _Canvas) -> None:
    """Paint what varies most: kidneys, ureters, bladder and bowel."""
    rng = canvas.rng
    urine = rng.uniform(6, 16)
    for side in (-1, 1):
        z, x = 552 + rng.normal(0, 8), side * (66 + rng.normal(0, 4))
        canvas.blob(_Organ((z, 45, x), (52, 26, 26), tilt=0.25 * side), rng.uniform(2.0, 3.2))
        for dz, dx, r in rng.uniform((-42, -20, 3), (42, 20, 6), (rng.integers(10, 24), 3)):
            spot = _Organ((z + dz, 45, x + dx + 0.25 * side * dz), (1.3 * r, r, r))
            canvas.blob(spot, urine * rng.uniform(0.3, 1.1))
        ureter = [(z, 42, x - 18 * side), (650, 38, 40 * side), (720, 30, 36 * side), (800, 10, 22 * side)]
        for part in pairwise(ureter):
            if rng.random() < 0.35:
                canvas.tube(part, (3.0, 2.0), urine * rng.uniform(0.3, 1))
    size, aspect = rng.uniform(0.7, 1.1), rng.uniform(0.8, 1.2)
    bladder = _Organ((798, -20, rng.normal(0, 6)), (28 * size / aspect, 34 * size, 37 * size * aspect))
    canvas.blob(bladder._replace(lumps=0.06), 2 * urine)
    loud = rng.lognormal(0, 0.5)
    for part in pairwise((_BOWEL + rng.normal(0, 7, _BOWEL.shape)).tolist()):
        suv = 1.2 + 0.35 * loud * rng.lognormal(0, 0.7)
        canvas.tube(part, rng.uniform(10, 20, 2).tolist(), min(suv, 7.0))
    for z, y, x in rng.normal((680, -30, 0), (40, 18, 42), (40, 3)):
        rz, ry, rx = rng.uniform(7, 15, 3)
        canvas.blob(_Organ((z, y, x), (rz, ry, rx), lumps=0.1), 1.1 + 0.3 * loud * rng.lognormal(0, 0.5))


def _lesion_centre(canvas: _Canvas, site: npt.NDArray[np.float64]) -> Point:
    """Return a point of the body in the frame, in mm, near the site if that is shown."""
    for _ in range(30):
        z, y, x = canvas.rng.normal(site[:3], site[3:])
        if canvas.suv[canvas.box((z, y, x), (PIXEL_MM, PLANE_MM, PIXEL_MM))].any():
            return z, y, x
    index = np.unravel_index(canvas.rng.choice(np.flatnonzero(canvas.suv)), canvas.suv.shape)
    z, y, x = (float(axis[i]) for axis, i in zip(canvas.axes, index, strict=True))
    return z, y, x


def _paint_lesion(canvas: _Canvas, mask: npt.NDArray[np.bool_], centre: Point, radius: float) -> None:
    """Paint one lobulated lesion of about ``radius`` mm and add its outline to the mask (Z, Y, X).

    The outline is where the noise-free blurred excess over the surroundings reaches half of its maximum,
    much as the reference outlines of real images are drawn.
    """
    rng = canvas.rng
    box = canvas.box(centre, [2.5 * radius + 2 * PSF_FWHM_MM] * 3)
    part = canvas.suv[box]
    before = part.copy()
    suv = min(4 + rng.lognormal(1.4, 0.8), 20)
    for lobe in range(rng.integers(1, 5)):
        z, y, x = centre + (lobe > 0) * rng.normal(0, 0.6 * radius, 3)
        rz, ry, rx = radius * rng.uniform(0.6, 1.1, 3)
        canvas.blob(_Organ((z, y, x), (rz, ry, rx), lumps=0.12), suv)
    part[before == 0] = 0
    excess = ndimage.gaussian_filter(part - before, _PSF_SIGMA)
    mask[box] |= excess > 0.5 * excess.max()


def _paint_tumours(canvas: _Canvas) -> npt.NDArray[np.bool_]:
    """Paint 1 to 12 lesions, most of them small, and return their 3-D mask."""
    rng = canvas.rng
    mask = np.zeros(canvas.suv.shape, dtype=np.bool_)
    sites = rng.choice(_SITES, rng.integers(1, 5))
    left = 1 + min(int(rng.exponential(5.0)), 11)
    # The first lesion is the largest; if it drowns in a hotter organ, draw on until one is seen.
    median, smallest = 17.0, 11.0
    while left > 0 or not mask.any():
        radius = float(np.clip(rng.lognormal(np.log(median), 0.45), smallest, 45))
        _paint_lesion(canvas, mask, _lesion_centre(canvas, rng.choice(sites)), radius)
        left, median, smallest = left - 1, 8.0, 4.0
    return mask


def _project(canvas: _Canvas) -> Volume:
    """Return the (Z, X) SUV projection after count noise and point spread."""
    rng = canvas.rng
    volume = rng.standard_exponential(canvas.suv.shape, dtype=np.float32) - 1
    # As with counts, the variance follows the uptake; noise before the blur has the blur's grain.
    volume *= np.sqrt(canvas.suv) * np.float32(rng.uniform(0.7, 1.8))
    volume += canvas.suv
    ndimage.gaussian_filter(volume, _PSF_SIGMA, output=volume, truncate=3)
    # Sensitivity falls at both ends of the scan, so the outermost rows are noisy.
    edge = np.arange(volume.shape[0], dtype=np.float32)[:, None]
    edge = 1.3 * np.exp(-np.minimum(edge, edge[::-1]) / 1.5)
    grain = rng.standard_normal((volume.shape[0], volume.shape[2]), dtype=np.float32)
    return np.asarray(volume.max(axis=1) * np.exp(edge * grain), dtype=np.float32)


def make_phantom(seed: int, *, height: int = 489, width: int = 400, tumours: bool = True) -> Phantom:
    """Draw one synthetic patient or healthy control.

    Args:
        seed: Non-negative; the same arguments give bit-identical output.
        height: Rows of 2 mm, at least 64. About 426 or 489 shows eyes to mid-thigh, 900 or more the whole
            body, less than 400 the trunk only.
        width: Columns of 2 mm, at least 64; the body is about 200 wide and centred.
        tumours: Whether to add disease.

    Returns:
        A phantom of (height, width) images. The mask has at least one pixel with tumours, none without.

    Raises:
        ValueError: If height or width is below 64.
    """
    if height < MIN_SIDE or width < MIN_SIDE:
        raise ValueError(f"phantom height and width must be at least {MIN_SIDE}, got {height} and {width}")
    canvas = _new_canvas(np.random.default_rng(seed), height, width)
    for paint in (_paint_body, _paint_organs, _paint_skeleton, _paint_excretion):
        paint(canvas)
    mask = np.zeros((height, width), dtype=np.bool_)
    rows, _, columns = canvas.suv.shape
    left = (width - columns) // 2
    window = (slice(rows), slice(left, left + columns))
    if tumours:
        mask[window] = _paint_tumours(canvas).max(axis=1)
    mip = np.full((height, width), 255, dtype=np.uint8)
    mip[window] = np.rint(255 * (1 - np.clip(_project(canvas) / WINDOW_TOP_SUV, 0, 1)))
    return Phantom(mip, mask)
