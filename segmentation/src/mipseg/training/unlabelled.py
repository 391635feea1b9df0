"""Images of more patients, who have no reference mask."""

import hashlib
from pathlib import Path

import numpy as np

from mipseg.errors import DatasetError
from mipseg.io.arrays import intensity_of_image
from mipseg.io.dataset import Case, read_image
from mipseg.repair import InputWarning, repair


def load_unlabelled(folder: Path | None) -> list[Case]:
    """Read images of patients without a reference mask: each upright, and each person once.

    The championship's validation images show every person twice, once turned or mirrored and maybe with noise (see
    docs/experiments, E66). The body stands as the service would turn it; copies, mirror images of another, noisy images
    and those without a body are left out.

    Args:
        folder: its PNGs are read, in the order of their names; None: there are none.

    Returns:
        Cases whose ids begin with `unlabelled_` and whose masks are empty, since nobody drew them.

    Raises:
        DatasetError: there is no PNG in it, none that can be used, or a damaged one.
    """
    if folder is None:
        return []
    cases, known = list[Case](), set[bytes]()
    for path in sorted(folder.glob("*.png")):
        image = read_image(path)
        repaired = repair(intensity_of_image(image))
        upright = np.ascontiguousarray(np.rot90(image, repaired.geometry.turns))
        copies = {hashlib.sha256(view.tobytes()).digest() for view in (upright, np.flip(upright, 1))}
        if repaired.has_body and InputWarning.NOISE not in repaired.warnings and known.isdisjoint(copies):
            cases.append(Case(f"unlabelled_{path.stem}", upright, np.zeros(upright.shape, bool)))
        known |= copies
    if not cases:
        raise DatasetError(f"no *.png in {folder} that shows a body")
    return cases
