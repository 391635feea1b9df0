import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import augment  # noqa: E402
from mipseg.training.augment import COARSE_FRAME, FRAME, Sampler, Subject  # noqa: E402

CPU = torch.device("cpu")


def sampler(cases, config, downscale=1, seed=0, atlas=None) -> Sampler:
    return Sampler(cases, atlas, downscale, config, np.random.default_rng(seed), CPU)


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


def test_mask_moves_with_the_image(config, monkeypatch):
    monkeypatch.setattr(augment, "_intensity", lambda image, *_: image)
    # An image that is its own mask: whatever the geometry does, both must stay equal.
    image = np.full((448, 320), 255, np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[100:250, 90:220] = True
    image[mask] = 0
    images, masks = sampler([Case("patient_000", image, mask)], replace(config, compose_patients=0.0)).batch(8)
    for image, reference in zip(images, masks, strict=True):
        assert torch.equal((image > 0.5).float(), reference)
        # The body's middle stays about in the frame's.
        assert reference.nonzero()[:, 2].float().mean() == pytest.approx(FRAME[1] / 2, abs=25)


def test_maps_of_the_atlas_move_with_the_image_and_get_no_lesions(cases, config, monkeypatch):
    monkeypatch.setattr(augment, "_intensity", lambda image, *_: image)
    monkeypatch.setattr(augment, "atlas_maps", lambda intensity, atlas: np.stack([intensity, intensity * atlas]))
    monkeypatch.setattr(augment, "match_window", lambda intensity: intensity)
    plain, composed = (
        sampler(cases, replace(config, patients=0.0, compose_controls=share), atlas=0.5).batch(6)[0]
        for share in (0.0, 1.0)
    )
    assert plain.shape == (6, 3, *FRAME)
    assert torch.equal(plain[:, 1], plain[:, 0])
    assert torch.allclose(plain[:, 2], plain[:, 0] / 2)
    assert torch.allclose(composed[:, 2], composed[:, 1] / 2)
    assert (composed[:, 0] > composed[:, 1] + 0.1).any()


def test_downscaled_subject_keeps_mean_intensity(cases):
    full, half = (Subject(cases[0], None, downscale, CPU) for downscale in (1, 2))
    assert half.channels.shape == (1, *(side // 2 for side in full.channels.shape[1:]))
    assert half.channels.mean().item() == pytest.approx(full.channels.mean().item(), abs=1e-4)


class Unmoved:
    """Geometry that leaves a subject as it is."""

    def __init__(self, *_):
        pass

    def moved(self, _):
        return self

    def warp(self, subject, rng, channels, mask):
        return channels.clone(), mask


@pytest.fixture
def unmoved(monkeypatch):
    monkeypatch.setattr(augment, "_Geometry", Unmoved)
    monkeypatch.setattr(augment, "_intensity", lambda image, *_: image)


def flat_case(name: str, intensity: float) -> Case:
    """A body of even intensity; a patient has two lesions of 0.8 in it."""
    mask = np.zeros((64, 64), bool)
    if name.startswith("patient"):
        mask[10:20, 10:20] = mask[40:50, 30:40] = True
    return Case(name, np.where(mask, 51, round(255 - 255 * intensity)).astype(np.uint8), mask)


def test_composition_is_the_maximum_of_body_and_lesions(config, unmoved):
    donor, body = flat_case("patient_000", 0.7), flat_case("control_000", 0.6)
    images, masks = sampler([donor, body], replace(config, patients=0.0, compose_controls=1.0)).batch(40)
    found = masks[:, 0].bool().numpy()
    # Whole lesions are taken, sometimes one and sometimes both.
    assert {int(mask.sum()) for mask in found} == {100, 200}
    near = ndimage.binary_dilation(donor.mask, np.ones((3, 3)), iterations=2)
    for image, mask in zip(images[:, 0].numpy(), found, strict=True):
        assert not (mask & ~donor.mask).any()
        assert (image[~near] == np.float32(0.6)).all()
        middle = image[ndimage.binary_erosion(mask, iterations=3)]
        assert 0.6 <= middle.min() <= middle.max() <= min(1.0, 0.8 * math.exp(0.3)) + 1e-6
    assert images.max() > 0.8


def test_lesions_are_added_to_patients_and_controls_in_their_own_shares(config, unmoved):
    cases = [flat_case("patient_000", 0.4), flat_case("control_000", 0.6)]
    chosen = replace(config, patients=0.8, compose_patients=0.0, compose_controls=1.0)
    images, masks = sampler(cases, chosen).batch(100)
    assert (masks.sum((1, 2, 3)) > 0).all()
    patients = images[:, 0, 0, 0] < 0.5
    assert 0.65 < patients.float().mean() < 0.95
    assert (images[patients].amax((1, 2, 3)) == np.float32(0.8)).all()


@pytest.mark.parametrize(("hard", "low", "high"), [(0.0, 0.3, 0.7), (0.5, 0.65, 0.9), (1.0, 0.95, 1.0)])
def test_costly_cases_are_drawn_more_often(config, unmoved, hard, low, high):
    cases = [flat_case("control_000", 0.2), flat_case("control_001", 0.6)]
    plain = replace(config, patients=0.0, compose_controls=0.0, hard=hard)
    drawing, costly = sampler(cases, plain), []
    for _ in range(100):
        images, _ = drawing.batch(2)
        is_costly = images[:, 0, 0, 0] > 0.5
        drawing.learn(is_costly.float().tolist())
        costly.append(is_costly.float().mean().item())
    assert low <= np.mean(costly[30:]) <= high


def test_composed_images_say_nothing_about_their_body(config, unmoved):
    cases = [flat_case("patient_000", 0.2), flat_case("control_000", 0.2), flat_case("control_001", 0.6)]
    drawing = sampler(cases, replace(config, patients=0.0, compose_controls=1.0, hard=1.0))
    for _ in range(50):
        images, _ = drawing.batch(2)
        drawing.learn((images[:, 0, 0, 0] > 0.5).float().tolist())
    assert 0.3 < np.mean([(drawing.batch(2)[0][:, 0, 0, 0] > 0.5).float().mean() for _ in range(50)]) < 0.7


def test_the_window_is_changed_as_far_as_configured(config):
    body = Case("control_000", np.full((600, 600), 178, np.uint8), np.zeros((600, 600), bool))

    def brightness(window: float) -> np.ndarray:
        plain = replace(config, patients=0.0, compose_controls=0.0, window=window)
        images, _ = sampler([body], plain).batch(40)
        return images[:, 0, 150:300, 100:220].mean((1, 2)).numpy()

    assert brightness(0.0).max() < 0.55
    assert brightness(0.9).max() > 0.6
    assert brightness(0.9).min() < 0.7 * brightness(0.0).min()


def test_images_are_mirrored_turned_and_change_in_brightness(config):
    mask = np.zeros((448, 320), bool)
    mask[100:140, 140:180] = mask[300:320, 100:120] = True
    case = Case("patient_000", np.where(mask, 100, 255).astype(np.uint8), mask)
    images, masks = sampler([case], replace(config, patients=1.0, compose_patients=0.0)).batch(40)
    ways = []
    for reference in masks[:, 0].numpy():
        labels, count = ndimage.label(reference)
        if count == 2:
            large, small = sorted((1, 2), key=lambda n: -(labels == n).sum())
            (y0, x0), (y1, x1) = ndimage.center_of_mass(reference, labels, [large, small])
            ways.append(math.degrees(math.atan2(x1 - x0, y1 - y0)))
    ways = np.array(ways)
    assert (ways > 0).mean() == pytest.approx(0.5, abs=0.3)  # unturned: 16 degrees to the left, or to the right
    assert np.abs(ways).std() > 3
    assert images.amax((1, 2, 3)).std() > 0.05


def test_added_lesions_lie_elsewhere_than_the_donor_has_them(config):
    mask = np.zeros((448, 320), bool)
    mask[100:120, 100:120] = mask[300, 200] = True  # the pixel keeps the body's middle off the lesion
    case = Case("patient_000", np.where(mask, 0, 255).astype(np.uint8), mask)
    _, masks = sampler([case], replace(config, patients=1.0, compose_patients=1.0)).batch(12)
    large = [np.bincount(ndimage.label(m)[0].ravel())[1:] > 100 for m in masks[:, 0].numpy()]
    assert max(int(sizes.sum()) for sizes in large) == 2
