import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.model.preprocess import MULTIPLE  # noqa: E402
from mipseg.training.loss import (  # noqa: E402
    COARSE_WEIGHT,
    HEALTHY_SHARE,
    PATIENT_WEIGHT,
    has_tumour,
    image_costs,
    soft_dice,
    training_loss,
)
from mipseg.training.network import Output, UNet  # noqa: E402


@pytest.mark.parametrize(
    ("channels", "pixel_unshuffle", "coarse"), [((8, 8, 8, 8, 16), 4, 8), ((8, 8, 8, 8, 8, 16), 2, 4)]
)
def test_shapes_follow_the_input(channels: tuple[int, ...], pixel_unshuffle: int, coarse: int) -> None:
    output = UNet(channels, pixel_unshuffle)(torch.rand(2, 1, 2 * MULTIPLE, 3 * MULTIPLE))
    assert output.tumour.shape == (2, 1, 2 * MULTIPLE, 3 * MULTIPLE)
    assert output.coarse.shape == (2, 1, 2 * MULTIPLE // coarse, 3 * MULTIPLE // coarse)
    assert output.patient.shape == (2,)


def test_untrained_network_calls_little_tumour() -> None:
    torch.manual_seed(0)
    output = UNet((8, 8, 8, 8, 16), 4)(torch.rand(2, 1, MULTIPLE, MULTIPLE))
    assert output.tumour.sigmoid().mean() < 0.1


def test_soft_dice_of_hand_worked_batch() -> None:
    # 2 x 1 x 10 x 10: one image with two pixels of tumour, one of which is found beside two false ones; one healthy.
    target, probability = torch.zeros(2, 1, 10, 10), torch.zeros(2, 1, 10, 10)
    target[0, 0, 0, :2] = 1
    probability[0, 0, 0, 1:4] = 1
    probability[1, 0, 5, :4] = 0.5
    batch = 1 - (2 * 1 + 1) / (3 + 2 + 2 + 1)
    patient, healthy = 1 - (2 * 1 + 1) / (3 + 2 + 1), 2 / (2 + HEALTHY_SHARE * 100)
    assert soft_dice(probability, target, 0).item() == pytest.approx(batch)
    assert soft_dice(probability, target, 1).item() == pytest.approx((patient + healthy) / 2)
    assert image_costs(probability, target).tolist() == pytest.approx([patient, healthy])
    assert soft_dice(probability, target, 0.25).item() == pytest.approx(0.75 * batch + 0.125 * (patient + healthy))


@pytest.mark.parametrize("image_share", [0, 1])
def test_soft_dice_of_empty_images_is_nothing(image_share: float) -> None:
    assert soft_dice(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), image_share).item() == 0


def test_loss_falls_from_wrong_to_right() -> None:
    target = torch.zeros(2, 1, 64, 64)
    target[0, 0, 10:30, 10:30] = 1

    def output(sign: float) -> Output:
        logits = sign * 40 * (target - 0.5)
        coarse = sign * 40 * (torch.nn.functional.max_pool2d(target, 8) - 0.5)
        return Output(logits, coarse, sign * 20 * torch.tensor([0.5, -0.5]))

    assert training_loss(output(1), target, 2.0, 0.5).item() < 0.01
    assert training_loss(output(-1), target, 2.0, 0.5).item() > 10


def test_loss_of_undecided_output_worked_out_by_hand() -> None:
    # One pixel of tumour makes its coarse pixel tumour, and the image one of a patient.
    target = torch.zeros(1, 1, 8, 8)
    target[0, 0, 3, 3] = 1
    output = Output(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 1, 1), torch.tensor([2.0]))
    full, coarse = 1 - (2 * 0.5 + 1) / (64 * 0.5 + 1 + 1), 1 - (2 * 0.5 + 1) / (0.5 + 1 + 1)
    entropy, patient = 2.5 * math.log(2), math.log1p(math.exp(-2))
    expected = entropy + full + COARSE_WEIGHT * (entropy + coarse) + PATIENT_WEIGHT * patient
    assert training_loss(output, target, 2.5, 0.0).item() == pytest.approx(expected)


def test_an_image_is_a_patients_if_a_pixel_is_more_likely_tumour_than_not() -> None:
    target = torch.zeros(3, 1, 4, 4)
    target[0, 0, 1, 1], target[1, 0, 1, 1] = 0.51, 0.5
    assert has_tumour(target).tolist() == [True, False, False]


def test_soft_targets_are_matched_at_their_own_value() -> None:
    target = torch.full((1, 1, 64, 64), 0.7)

    def loss(probability: float) -> float:
        logit = math.log(probability / (1 - probability))
        output = Output(torch.full((1, 1, 64, 64), logit), torch.full((1, 1, 8, 8), logit), torch.tensor([1.0]))
        return float(training_loss(output, target, 100.0, 0.5))

    assert loss(0.7) < min(loss(0.6), loss(0.8))
