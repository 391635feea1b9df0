"""How well the tumour in 3-D is estimated from one projection, on phantoms whose truth is exact: a table in Markdown.

`uv run --all-packages python bench/volume_bench.py [first seed] [phantoms]`
"""

import sys
import time
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mipseg.growing import Rule, grow
from mipseg.io.volume import Source, Volume
from mipseg.measure.regions import Reference, find_liver, percist_level
from mipseg.metrics import dice_score
from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.phantom import SPACING_MM, make_volume_phantom
from mipseg.projection import Mip, project
from mipseg.types import BinaryMask

RULES: tuple[Rule, ...] = ("41%max", "suv4", "liver")
HEIGHTS = (489, 426)  # the data set's most frequent


class Score(NamedTuple):
    """How one estimate compares with the truth.

    Attributes:
        dice: in 3-D.
        volume: the estimate's volume over the truth's.
        seconds: that growing took.
    """

    dice: float
    volume: float
    seconds: float


def main() -> None:
    """Draw, project, segment, grow, compare."""
    first, count = (int(text) for text in (*sys.argv[1:], "2000", "40")[:2])
    segmenter = load_segmenter()
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)
    livers = []
    for seed in range(first, first + count):
        livers.append(measure(seed, segmenter, scores))
    print(f"{count} phantoms, seeds {first} to {first + count - 1}\n")
    print("| 2-D mask | rule | Dice, mean | quartiles | volume / truth, median | error of volume, median | s |")
    print("|---|---|---|---|---|---|---|")
    for (mask, rule), found in scores.items():
        dice, volume, seconds = (np.array(column) for column in zip(*found, strict=True))
        low, middle, high = np.percentile(dice, (25, 50, 75))
        print(
            f"| {mask} | {rule} | {dice.mean():.3f} | {low:.2f}, {middle:.2f}, {high:.2f} | {np.median(volume):.2f} "
            f"| {np.median(abs(volume - 1)):.0%} | {seconds.mean():.2f} |"
        )
    shown = np.array([liver for liver in livers if liver is not None])
    share = ", ".join(f"{value:.2f}" for value in np.percentile(shown, (25, 50, 75)))
    print(f"\nLiver found in {shown.size} of {count}; its level in the image, quartiles and median: {share}")


def measure(seed: int, segmenter: Segmenter, scores: dict[tuple[str, str], list[Score]]) -> float | None:
    """Add a phantom's scores; returns the level of its liver in the image."""
    phantom = make_volume_phantom(seed, height=HEIGHTS[seed % len(HEIGHTS)])
    volume = as_volume(phantom.suv)
    mip = project(volume)
    liver = find_liver(volume)
    level = percist_level(liver) if isinstance(liver, Reference) else None
    masks = {"true": true_mask(phantom.mask, mip), "predicted": segmenter.segment(mip.intensity).tumour}
    for name, mask in masks.items():
        for rule in RULES:
            if rule == "liver" and level is None:
                continue
            start = time.process_time()
            estimate = grow(volume, mip, mask, rule, level)
            seconds = time.process_time() - start
            share = estimate.sum() / phantom.mask.sum()
            scores[name, rule].append(Score(dice_score(phantom.mask, estimate), share, seconds))
    return liver_in_image(volume, mip, liver) if isinstance(liver, Reference) else None


def as_volume(suv: npt.NDArray[np.float32]) -> Volume:
    """A phantom as a volume along the patient's axes."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = SPACING_MM
    affine[3, 3] = 1
    source = Source("nifti", (suv.shape[0], suv.shape[1], suv.shape[2]), affine, (0, 1, 2), (False, False, False))
    return Volume(suv, affine, SPACING_MM, "suv", source)


def true_mask(tumour: npt.NDArray[np.bool_], mip: Mip) -> BinaryMask:
    """The projection of the truth; phantoms have the image's pitch, so pixels are rays."""
    rays = np.asarray(tumour.any(axis=1))
    mask = np.zeros(mip.intensity.shape, bool)
    inside = np.flatnonzero((mip.columns > -0.5) & (mip.columns < rays.shape[1] - 0.5))
    mask[:, inside] = rays[np.rint(mip.rows).astype(int)][:, np.rint(mip.columns[inside]).astype(int)]
    return mask


def liver_in_image(volume: Volume, mip: Mip, liver: Reference) -> float:
    """The median intensity of the image where the liver's sphere lies."""
    k, _, i, _ = np.linalg.inv(volume.affine) @ [*liver.centre_mm, 1]
    radius = liver.diameter_mm / 2
    rows = np.abs(mip.rows - k) * volume.spacing[0] < radius
    columns = np.abs(mip.columns - i) * volume.spacing[2] < radius
    return float(np.median(mip.intensity[np.ix_(rows, columns)]))


if __name__ == "__main__":
    main()
