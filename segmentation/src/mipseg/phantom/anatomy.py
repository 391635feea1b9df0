"""The anatomy that phantoms are drawn from: organs, vessels, outlines and sites of disease of a reference adult.

Points are ``(z, y, x)`` in mm: z runs from the top of the head (0) to the feet (1790), y from front (negative) to back,
x from the patient's right (negative) to the left. Intensities are SUV (g/ml).
"""

from typing import NamedTuple

import numpy as np

Point = tuple[float, float, float]


class Organ(NamedTuple):
    """An ellipsoid: centre and radii in mm, intensity range in SUV, shape and how it is painted."""

    centre: Point
    radii: Point
    suv: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0  # dx/dz of the long axis
    lumps: float = 0.03  # unevenness of the surface
    paired: bool = False  # has a mirror image
    cold: bool = False  # replaces what is there; other organs never lower it


ORGANS = (
    Organ((600, -5, 0), (175, 84, 122), (1.0, 1.35)),  # abdominal cavity
    Organ((390, 5, 78), (130, 78, 56), (0.35, 0.45), paired=True, cold=True),  # lungs
    Organ((68, 5, 0), (57, 80, 66), (8.0, 14.0), lumps=0.1),  # brain
    Organ((152, -30, 15), (10, 9, 8), (1.5, 4.5), paired=True),  # tonsils
    Organ((180, -30, 30), (14, 10, 10), (1.3, 2.6), paired=True),  # salivary glands
    Organ((226, -30, 0), (11, 10, 11), (1.2, 3.6)),  # larynx
    Organ((350, -15, 4), (75, 30, 28), (1.2, 1.6)),  # mediastinum
    Organ((430, -30, 12), (50, 45, 50), (1.3, 1.7)),  # heart chambers
    Organ((512, -5, -80), (78, 78, 64), (2.0, 2.5), tilt=-0.15),  # liver: body, left lobe, tip
    Organ((478, -35, -12), (38, 42, 66), (2.0, 2.4), tilt=0.3),
    Organ((565, 5, -106), (62, 42, 32), (2.0, 2.3), tilt=-0.1),
    Organ((492, 50, 108), (50, 32, 26), (1.6, 2.1), tilt=0.3),  # spleen
    Organ((505, -35, 68), (42, 30, 38), (1.0, 2.1), tilt=-0.3),  # stomach
)
BOWEL = np.array([
    (735, 0, -92), (670, 5, -108), (600, 0, -108), (592, -45, -62), (618, -62, 0), (590, -45, 70),
    (565, 0, 112), (640, 10, 116), (720, 10, 106), (762, 0, 66), (765, -10, 22), (800, 40, 4)])  # fmt: skip
ARTERY: tuple[Point, ...] = (
    (430, -20, 0), (345, -12, 4), (335, 10, 16), (420, 48, 24), (560, 50, 12), (690, 42, 4),
    (770, 20, 45), (850, -25, 66), (1000, 0, 76), (1200, 25, 68), (1640, 15, 48))  # fmt: skip
LEG = ((800, 10, 90), (950, 5, 92), (1200, 5, 76), (1330, 12, 70), (1640, 12, 48), (1775, -60, 58))
LEG_RADII = (86, 85, 56, 54, 31, 27)
TRUNK = np.array([  # z, half-width and half-depth in mm
    (185, 20, 35), (215, 66, 50), (245, 120, 62), (280, 172, 80), (320, 196, 96), (440, 182, 112),
    (540, 168, 112), (620, 162, 110), (790, 184, 110), (860, 182, 105), (940, 10, 60)])  # fmt: skip
SITES = np.array([  # where disease starts: centre and spread in mm, from chest and neck to groins and ribs
    (370, 0, 0, 45, 20, 25), (350, 0, 0, 35, 20, 35), (380, 0, 75, 55, 30, 25), (380, 0, -75, 55, 30, 25),
    (225, 0, 42, 30, 12, 8), (225, 0, -42, 30, 12, 8), (310, 0, 135, 20, 15, 12), (310, 0, -135, 20, 15, 12),
    (510, 0, -75, 35, 25, 28), (560, 55, 0, 140, 5, 8), (640, 35, 0, 60, 10, 22), (740, 50, 0, 35, 15, 60),
    (850, -20, 70, 25, 10, 12), (850, -20, -70, 25, 10, 12), (420, 0, 0, 80, 60, 120)])  # fmt: skip
