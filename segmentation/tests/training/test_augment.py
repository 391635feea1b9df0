from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.dataset import Case  # noqa: E402
from mipseg.training.augment import COARSE_FRAME, FRAME, Sampler, Subject  # noqa: E402
from mipseg.training.config import Config  # noqa: E402

CPU = torch.device("cpu")


def sampler(cases: list[Case], config: Config, downscale: int = 1, seed: int = 0) -> Sampler:
    return Sampler(cases, downscale, config, np.random.default_rng(seed), CPU)


@pytest.mark.parametrize(("downscale", "frame"), [(1, FRAME), (2, COARSE_FRAME)])
def test_batch_contract(cases, config, downscale, frame):
    images, masks = sampler(cases, config, downscale).batch(6)
    assert images.shape == masks.shape == (6, 1, *frame)
    assert images.min() >= 0
    assert images.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_same_seed_same_batch(cases, config):
    first, second = (sampler(cases, config, seed=5).batch(3) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], sampler(cases, config, seed=6).batch(3)[0])


def test_controls_stay_empty_without_composition(cases, config):
    only_controls = replace(config, patients=0.0, compose_controls=0.0)
    assert sampler(cases, only_controls).batch(8)[1].sum() == 0


def test_composition_adds_lesions_where_it_is_hot(cases, config):
    composed = replace(config, patients=0.0, compose_controls=1.0)
    plain = replace(config, patients=0.0, compose_controls=0.0)
    images, masks = sampler(cases, composed).batch(12)
    assert (masks.sum((1, 2, 3)) > 0).float().mean() > 0.5
    inside = images[masks == 1].mean()
    assert inside > 2 * sampler(cases, plain).batch(12)[0][:, :, 100:300, 100:220].mean()


def test_mask_moves_with_the_picture(config):
    # A picture that is its own mask: whatever the geometry does, both must stay equal.
    image = np.full((448, 320), 255, np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[100:250, 90:220] = True
    image[mask] = 0
    images, masks = sampler([Case("patient_000", image, mask)], replace(config, compose_patients=0.0)).batch(8)
    for picture, reference in zip(images, masks, strict=True):
        hot = (picture > 0.5 * picture.max()).float()
        assert 2 * (hot * reference).sum() / (hot.sum() + reference.sum()) > 0.97


def test_downscaled_subject_keeps_mean_uptake(cases):
    full, half = Subject(cases[0], 1, CPU), Subject(cases[0], 2, CPU)
    assert half.uptake.shape == tuple(side // 2 for side in full.uptake.shape)
    assert half.uptake.mean().item() == pytest.approx(full.uptake.mean().item(), abs=1e-4)
