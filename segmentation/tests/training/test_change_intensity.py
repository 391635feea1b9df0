import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from torch import Tensor  # noqa: E402

from mipseg.training.augment import change_intensity  # noqa: E402
from mipseg.training.geometry import Random  # noqa: E402
from tests.training.draws import within_3_sigma  # noqa: E402

CPU = torch.device("cpu")


def changed_levels(window_jitter: float, seed: int = 0) -> Tensor:
    """The mean of 500 even images of 0.5 after a change of intensity; away from the edges, where blurring adds air."""
    changed = change_intensity(torch.full((500, 32, 32), 0.5), window_jitter, Random(seed, CPU))
    return changed[:, 1:-1, 1:-1].mean((1, 2))


def test_the_window_is_changed_as_far_as_configured() -> None:
    contrast = 0.5 ** math.exp(0.35), 0.5 ** math.exp(-0.35)  # 0.374 to 0.614
    fixed = changed_levels(0.0)
    assert contrast[0] - 0.01 < fixed.min() < contrast[0] + 0.01
    assert contrast[1] - 0.01 < fixed.max() < contrast[1] + 0.01
    wide = changed_levels(0.6)
    assert wide.min() < (0.5 * math.exp(-0.5)) ** math.exp(0.25)
    assert wide.max() > (0.5 * math.exp(0.5)) ** math.exp(-0.25)


def test_intensities_are_changed_in_their_shares() -> None:
    image = torch.zeros(2000, 9, 9)
    image[:, 4, 4] = 0.5
    changed = change_intensity(image, 0.5, Random(3, CPU))
    assert 0 == changed.min() < changed.max() <= 1
    noisy = (changed[:, ::8, ::8] > 0).flatten(1).any(1)
    assert within_3_sigma(int(noisy.sum()), 2000, 0.3 * (1 - 0.5**4))  # half of the noise in four corners is negative
    quiet = ~noisy & (changed[:, 0] == 0).all(1) & (changed[:, 8] == 0).all(1)
    blurred = changed[quiet][:, 4, 5] > 0.01
    assert within_3_sigma(int(blurred.sum()), int(quiet.sum()), 0.2)
    same = changed[quiet][~blurred][:, 4, 4] == 0.5
    assert within_3_sigma(int(same.sum()), len(same), 0.25)
