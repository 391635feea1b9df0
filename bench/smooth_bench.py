"""What coarse voxels and filters cost, and what sharpening the volume gives back, on phantoms: a table in Markdown.

`uv run --all-packages python -m bench.smooth_bench [first seed] [phantoms]`
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from bench.volume_bench import as_volume, true_mask
from scipy import ndimage

from mipseg.constants import FWHM
from mipseg.io.volume import Volume
from mipseg.metrics import dice_score, is_clean, match_lesions
from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.phantom import make_volume_phantom
from mipseg.projection import project
from mipseg.sharpening import filter_of, sharp_view
from mipseg.types import BinaryMask, Intensity


class Scores(NamedTuple):
    """Of one kind of volume, as it is and sharpened.

    Attributes:
        filters: mm FWHM that were found along and across.
        dice: of phantoms with tumours, both.
        clean: of phantoms without, both: no false lesion of 20 px.
    """

    filters: list[tuple[float, float]]
    dice: list[tuple[float, float]]
    clean: list[tuple[bool, bool]]


def filtered(volume: Volume, along: float, across: float) -> Volume:
    """After a Gaussian filter of so many mm FWHM, along the body and across it."""
    sigmas = [mm / FWHM / step for mm, step in zip((along, across, across), volume.spacing, strict=True)]
    return replace(volume, voxels=ndimage.gaussian_filter(volume.voxels, sigmas))


def coarse(volume: Volume, times: int) -> Volume:
    """Voxels that are so many times as large, each the mean of those that it holds; what is left at the ends is cut."""
    z, y, x = (side // times for side in volume.voxels.shape)
    cut = volume.voxels[: z * times, : y * times, : x * times]
    voxels = np.ascontiguousarray(cut.reshape(z, times, y, times, x, times).mean((1, 3, 5)))
    affine = volume.affine.copy()
    affine[:3, :3] *= times
    dz, dy, dx = volume.spacing
    return replace(volume, voxels=voxels, affine=affine, spacing=(dz * times, dy * times, dx * times))


KINDS: dict[str, Callable[[Volume], Volume]] = {
    "as drawn": lambda volume: volume,
    "filter of 4 mm": lambda volume: filtered(volume, 4, 4),
    "filter of 6 mm": lambda volume: filtered(volume, 6, 6),
    "filter of 8 mm": lambda volume: filtered(volume, 8, 8),
    "voxels of 4 mm": lambda volume: coarse(volume, 2),
    "voxels of 4 mm after a filter of 6 mm": lambda volume: coarse(filtered(volume, 6, 6), 2),
    "voxels of 6 mm": lambda volume: coarse(volume, 3),
}


def main() -> None:
    """Draw, spoil, sharpen, compare."""
    first, count = (int(text) for text in (*sys.argv[1:], "4000", "20")[:2])
    segmenter = load_segmenter()
    scores: dict[str, Scores] = defaultdict(lambda: Scores([], [], []))
    for seed in range(first, first + count):
        for tumours in (True, False):
            measure(seed, segmenter, scores, tumours=tumours)
    print(f"{count} phantoms with tumours and {count} without, seeds {first} to {first + count - 1}\n")
    print("| Volume | Filter found, mm | Dice as it is | sharpened | paired | Clean as it is | sharpened |")
    print("|---|---|---|---|---|---|---|")
    for name, (filters, dice, clean) in scores.items():
        before, after = np.array(dice).T
        error = (after - before).std(ddof=1) / np.sqrt(len(dice))
        print(
            f"| {name} | {np.median(filters):.1f} | {before.mean():.3f} | {after.mean():.3f} "
            f"| {(after - before).mean():+.3f} ± {error:.3f} | "
            + " | ".join(f"{share:.0%}" for share in np.mean(clean, 0))
            + " |"
        )


def measure(seed: int, segmenter: Segmenter, scores: dict[str, Scores], *, tumours: bool) -> None:
    """Add a phantom's scores."""
    phantom = make_volume_phantom(seed, tumours=tumours)
    drawn = as_volume(phantom.suv)
    reference = true_mask(phantom.mask, project(drawn))
    for name, spoil in KINDS.items():
        volume = spoil(drawn)
        mip = project(volume)
        found = filter_of(volume, mip)
        sharp = sharp_view(volume, mip, found) if any(found) else mip.intensity
        masks = [fitted(segmenter, image, reference) for image in (mip.intensity, sharp)]
        scores[name].filters.append(found)
        if tumours:
            scores[name].dice.append((dice_score(reference, masks[0]), dice_score(reference, masks[1])))
        else:
            before, after = (bool(is_clean(match_lesions(reference, mask).prediction_area)) for mask in masks)
            scores[name].clean.append((before, after))


def fitted(segmenter: Segmenter, image: Intensity, reference: BinaryMask) -> BinaryMask:
    """The mask of an image, as tall as the reference: cutting into voxels may have taken a row or more at the head."""
    mask = np.zeros(reference.shape, bool)
    found = segmenter.segment(image).tumour
    rows = min(len(found), len(mask))
    mask[len(mask) - rows :] = found[len(found) - rows :]
    return mask


if __name__ == "__main__":
    main()
