import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from torch import Tensor  # noqa: E402

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.model.atlas import SHAPE  # noqa: E402
from mipseg.training.augment import (  # noqa: E402
    COARSE_FRAME,
    COMPOSED,
    FRAME,
    Sampler,
    learn,
    make_sampler,
    make_subject,
)
from mipseg.training.config import Config  # noqa: E402
from mipseg.training.geometry import Geometry  # noqa: E402


def new_sampler(cases: Sequence[Case], config: Config, downscale: int = 1) -> Sampler:
    return make_sampler(cases, None, downscale, config, torch.ones(len(cases)))


def draw(sampler: Sampler, count: int, seed: int = 0) -> tuple[Tensor, Tensor, list[int]]:
    """(B, C, H, W) images, (B, H, W) masks and the numbers of the cases."""
    rng = np.random.default_rng(seed)
    examples = [sampler.draw(rng) for _ in range(count)]
    images, masks = torch.stack([e.image for e in examples]), torch.stack([e.mask for e in examples])
    return images, masks, [int(e.case) for e in examples]


def unmoved(sampler: Sampler, frame: tuple[int, int]) -> Sampler:
    """The same sampler without any change of geometry or intensity."""
    still = Geometry(np.eye(2), False, np.zeros(2), 0.0, 0.0, None)
    return replace(
        sampler, frame=frame, draw_geometries=lambda *_: (still, still), change_intensity=lambda image, *_: image
    )


@pytest.mark.parametrize(("downscale", "frame"), [(1, FRAME), (2, COARSE_FRAME)])
def test_images_keep_their_contract(cases: list[Case], config: Config, downscale: int, frame: tuple[int, int]) -> None:
    images, masks, numbers = draw(new_sampler(cases, config, downscale), 6)
    assert images.shape == (6, 1, *frame)
    assert masks.shape == (6, *frame)
    assert (images.dtype, masks.dtype) == (torch.float32, torch.bool)
    assert 0 <= images.min() < images.max() <= 1
    assert masks.any()
    assert set(numbers) <= {COMPOSED, *range(8)}


def test_same_seed_same_images(cases: list[Case], config: Config) -> None:
    first, second, other = (draw(new_sampler(cases, config), 3, seed) for seed in (5, 5, 6))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_controls_stay_empty_without_composition(cases: list[Case], config: Config) -> None:
    only_controls = replace(config, patient_fraction=0.0, compose_controls=0.0)
    _, masks, numbers = draw(new_sampler(cases, only_controls), 8)
    assert not masks.any()
    assert set(numbers) <= {4, 5, 6, 7}


def test_composition_adds_lesions_where_it_is_hot(cases: list[Case], config: Config) -> None:
    composed = replace(config, patient_fraction=0.0, compose_controls=1.0)
    plain = replace(composed, compose_controls=0.0)
    images, masks, numbers = draw(new_sampler(cases, composed), 12)
    assert numbers == [COMPOSED] * 12
    assert masks.flatten(1).any(1).float().mean() > 0.5
    inside = images[:, 0][masks].mean()
    assert inside > 2 * draw(new_sampler(cases, plain), 12)[0][:, :, 100:300, 100:220].mean()


def test_mask_moves_with_the_image(config: Config) -> None:
    # An image that is its own mask: whatever the geometry does, both must stay equal.
    image = np.full((448, 320), 255, np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[100:250, 90:220] = True
    image[mask] = 0
    sampler = new_sampler([Case("patient_000", image, mask)], replace(config, compose_patients=0.0))
    images, masks, _ = draw(replace(sampler, change_intensity=lambda image, *_: image), 8)
    for intensity, reference in zip(images, masks, strict=True):
        assert torch.equal(intensity[0] > 0.5, reference)
        # The body's middle stays about in the frame's.
        assert reference.nonzero()[:, 1].float().mean() == pytest.approx(FRAME[1] / 2, abs=25)


def test_maps_of_the_atlas_move_with_the_image_and_get_no_lesions(cases: list[Case], config: Config) -> None:
    def images(share: float) -> Tensor:
        sampler = new_sampler(cases, replace(config, patient_fraction=0.0, compose_controls=share))
        subjects = [replace(s, channels=torch.cat([s.channels, s.channels, s.channels / 2])) for s in sampler.subjects]
        return draw(replace(sampler, subjects=subjects, change_intensity=lambda image, *_: image), 6)[0]

    plain, composed = images(0.0), images(1.0)
    assert plain.shape == (6, 3, *FRAME)
    assert torch.equal(plain[:, 1], plain[:, 0])
    assert torch.allclose(plain[:, 2], plain[:, 0] / 2)
    assert torch.allclose(composed[:, 2], composed[:, 1] / 2)
    assert (composed[:, 0] > composed[:, 1] + 0.1).any()


def test_a_subject_has_the_maps_of_the_atlas(cases: list[Case]) -> None:
    atlas = np.stack([np.full(SHAPE, 0.2), np.full(SHAPE, 0.1)]).astype(np.float32)
    subject = make_subject(cases[0], atlas, 2)
    assert subject.channels.shape == (3, 64, 64)
    assert torch.allclose(subject.channels[1:], torch.tensor([0.2, 0.1])[:, None, None])


def test_downscaled_subject_keeps_mean_intensity(cases: list[Case]) -> None:
    full, half = (make_subject(cases[0], None, downscale) for downscale in (1, 2))
    assert half.channels.shape == (1, *(side // 2 for side in full.channels.shape[1:]))
    assert half.channels.mean().item() == pytest.approx(full.channels.mean().item(), abs=1e-4)


def flat_case(name: str, intensity: float) -> Case:
    """A body of even intensity; a patient has two lesions of 0.8 in it."""
    mask = np.zeros((64, 64), bool)
    if name.startswith("patient"):
        mask[10:20, 10:20] = mask[40:50, 30:40] = True
    return Case(name, np.where(mask, 51, round(255 - 255 * intensity)).astype(np.uint8), mask)


def still_sampler(cases: Sequence[Case], config: Config) -> Sampler:
    return unmoved(new_sampler(cases, config), (64, 64))


def test_composition_is_the_maximum_of_body_and_lesions(config: Config) -> None:
    donor, body = flat_case("patient_000", 0.7), flat_case("control_000", 0.6)
    composed = replace(config, patient_fraction=0.0, compose_controls=1.0)
    images, masks, _ = draw(still_sampler([donor, body], composed), 40)
    # Whole lesions are taken, sometimes one and sometimes both.
    assert {int(mask.sum()) for mask in masks} == {100, 200}
    near = ndimage.binary_dilation(donor.mask, np.ones((3, 3)), iterations=2)
    for image, mask in zip(images[:, 0].numpy(), masks.numpy(), strict=True):
        assert not (mask & ~donor.mask).any()
        np.testing.assert_allclose(image[~near], 0.6, atol=1e-5)
        middle = image[ndimage.binary_erosion(mask, iterations=3)]
        assert 0.6 - 1e-5 <= middle.min() <= middle.max() <= min(1.0, 0.8 * math.exp(0.3)) + 1e-5
    assert images.max() > 0.8


def test_lesions_are_added_to_patients_and_controls_in_their_own_shares(config: Config) -> None:
    cases = [flat_case("patient_000", 0.4), flat_case("control_000", 0.6)]
    chosen = replace(config, patient_fraction=0.8, compose_patients=0.0, compose_controls=1.0)
    images, masks, numbers = draw(still_sampler(cases, chosen), 100)
    assert masks.flatten(1).any(1).all()
    patients = torch.tensor(numbers) == 0
    assert 0.65 < patients.float().mean() < 0.95
    assert torch.allclose(images[patients].amax((1, 2, 3)), torch.tensor(0.8))
    assert {number for number in numbers if number} == {COMPOSED}


@pytest.mark.parametrize(("hard", "low", "high"), [(0.0, 0.35, 0.65), (0.5, 0.65, 0.85), (1.0, 0.95, 1.0)])
def test_costly_cases_are_drawn_more_often(config: Config, hard: float, low: float, high: float) -> None:
    cases = [flat_case("patient_000", 0.5), flat_case("control_000", 0.2), flat_case("control_001", 0.6)]
    plain = replace(config, patient_fraction=0.0, compose_controls=0.0, hard_mining_fraction=hard)
    sampler = still_sampler(cases, plain)
    for _ in range(20):
        learn(sampler.costs, torch.tensor([1, 2]), torch.tensor([0.0, 1.0]))
    _, _, numbers = draw(sampler, 200)
    assert set(numbers) <= {1, 2}
    assert low <= np.mean(np.array(numbers) == 2) <= high


def test_a_cost_follows_the_latest_ones_and_composed_images_say_nothing() -> None:
    costs = torch.ones(3)
    learn(costs, torch.tensor([1, COMPOSED, 1]), torch.tensor([0.5, 0.0, 0.0]))
    assert costs.tolist() == pytest.approx([1.0, (1 - 0.4 * 0.5) * 0.6, 1.0])


def test_the_window_is_changed_as_far_as_configured(config: Config) -> None:
    body = Case("control_000", np.full((600, 600), 178, np.uint8), np.zeros((600, 600), bool))

    def brightness(window: float) -> npt.NDArray[np.float32]:
        plain = replace(config, patient_fraction=0.0, compose_controls=0.0, window_jitter=window)
        images, _, _ = draw(new_sampler([body], plain), 40)
        return np.asarray(images[:, 0, 150:300, 100:220].mean((1, 2)).numpy())

    assert brightness(0.0).max() < 0.55
    assert brightness(0.9).max() > 0.6
    assert brightness(0.9).min() < 0.7 * brightness(0.0).min()


def test_images_are_mirrored_turned_and_change_in_brightness(config: Config) -> None:
    mask = np.zeros((448, 320), bool)
    mask[100:140, 140:180] = mask[300:320, 100:120] = True
    case = Case("patient_000", np.where(mask, 100, 255).astype(np.uint8), mask)
    images, masks, _ = draw(new_sampler([case], replace(config, patient_fraction=1.0, compose_patients=0.0)), 40)
    ways = []
    for reference in masks.numpy():
        labels, count = ndimage.label(reference)
        if count == 2:
            large, small = sorted((1, 2), key=lambda n: -(labels == n).sum())
            (y0, x0), (y1, x1) = ndimage.center_of_mass(reference, labels, [large, small])
            ways.append(math.degrees(math.atan2(x1 - x0, y1 - y0)))
    turned = np.array(ways)
    assert (turned > 0).mean() == pytest.approx(0.5, abs=0.3)  # unturned: 16 degrees to the left, or to the right
    assert np.abs(turned).std() > 3
    assert images.amax((1, 2, 3)).std() > 0.05


def test_added_lesions_lie_elsewhere_than_the_donor_has_them(config: Config) -> None:
    mask = np.zeros((448, 320), bool)
    mask[100:120, 100:120] = mask[300, 200] = True  # the pixel keeps the body's middle off the lesion
    case = Case("patient_000", np.where(mask, 0, 255).astype(np.uint8), mask)
    _, masks, _ = draw(new_sampler([case], replace(config, patient_fraction=1.0, compose_patients=1.0)), 12)
    large = [np.bincount(ndimage.label(mask)[0].ravel())[1:] > 100 for mask in masks.numpy()]
    assert max(int(sizes.sum()) for sizes in large) == 2
