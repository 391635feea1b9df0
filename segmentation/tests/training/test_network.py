import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from torch.nn.functional import pixel_shuffle  # noqa: E402

from mipseg.model.preprocess import MULTIPLE  # noqa: E402
from mipseg.training.loss import COARSE_WEIGHT, HEALTHY_SHARE, PATIENT_WEIGHT, soft_dice, training_loss  # noqa: E402
from mipseg.training.network import Output, UNet  # noqa: E402


@pytest.mark.parametrize(
    ("channels", "pixel_unshuffle", "coarse"), [((8, 8, 8, 8, 16), 4, 8), ((8, 8, 8, 8, 8, 16), 2, 4)]
)
@pytest.mark.parametrize("atlas", [False, True])
def test_shapes_follow_the_input(channels: tuple[int, ...], pixel_unshuffle: int, coarse: int, atlas: bool) -> None:
    network = UNet(channels, pixel_unshuffle, atlas=atlas)
    output = network(torch.rand(2, network.in_channels, 2 * MULTIPLE, 3 * MULTIPLE))
    assert output.tumour.shape == (2, 1, 2 * MULTIPLE, 3 * MULTIPLE)
    assert output.coarse.shape == (2, 1, 2 * MULTIPLE // coarse, 3 * MULTIPLE // coarse)
    assert output.patient.shape == (2,)


def test_network_sees_how_far_intensity_is_off_from_the_atlas() -> None:
    network, seen = UNet((8, 8, 8, 8, 16), 4, atlas=True).eval(), []
    network.down[0].register_forward_pre_hook(lambda _, inputs: seen.append(pixel_shuffle(inputs[0], 4)))
    channels = torch.zeros(1, 3, MULTIPLE, MULTIPLE)
    channels[0, :, 0, :4] = torch.tensor([[0.5, 0.9, 0.5, 0.2], [0.5, 0.4, 0.1, 0.9], [0.1, 0.2, 0.0, 0.05]])
    network(channels)
    # Off by 0, 2, 8 (cut) and -7 (cut at -4) deviations, a quarter of which is seen.
    assert seen[0][0, 2, 0, :4].tolist() == pytest.approx([0, 0.5, 2, -1])
    assert torch.equal(seen[0][:, :2], channels[:, :2])


def test_untrained_network_calls_little_tumour() -> None:
    torch.manual_seed(0)
    output = UNet((8, 8, 8, 8, 16), 4, atlas=False)(torch.rand(2, 1, MULTIPLE, MULTIPLE))
    assert output.tumour.sigmoid().mean() < 0.1


def test_soft_dice_of_hand_worked_batch() -> None:
    # 2 x 1 x 10 x 10: one image with two pixels of tumour, one of which is found beside two false ones; one healthy.
    target, probability = torch.zeros(2, 1, 10, 10), torch.zeros(2, 1, 10, 10)
    target[0, 0, 0, :2] = 1
    probability[0, 0, 0, 1:4] = 1
    probability[1, 0, 5, :4] = 0.5
    batch = 1 - (2 * 1 + 1) / (3 + 2 + 2 + 1)
    patient, healthy = 1 - (2 * 1 + 1) / (3 + 2 + 1), 2 / (2 + HEALTHY_SHARE * 100)
    assert soft_dice(probability, target, 0)[0].item() == pytest.approx(batch)
    assert soft_dice(probability, target, 1)[0].item() == pytest.approx((patient + healthy) / 2)
    assert soft_dice(probability, target, 0.25)[1].tolist() == pytest.approx([patient, healthy])
    assert soft_dice(probability, target, 0.25)[0].item() == pytest.approx(0.75 * batch + 0.125 * (patient + healthy))


@pytest.mark.parametrize("image_share", [0, 1])
def test_soft_dice_of_empty_images_is_nothing(image_share: float) -> None:
    assert soft_dice(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), image_share)[0].item() == 0


def test_loss_falls_from_wrong_to_right() -> None:
    target = torch.zeros(2, 1, 64, 64)
    target[0, 0, 10:30, 10:30] = 1

    def output(sign: float) -> Output:
        logits = sign * 40 * (target - 0.5)
        coarse = sign * 40 * (torch.nn.functional.max_pool2d(target, 8) - 0.5)
        return Output(logits, coarse, sign * 20 * torch.tensor([0.5, -0.5]))

    assert training_loss(output(1), target, 2.0, 0.5)[0].item() < 0.01
    assert training_loss(output(-1), target, 2.0, 0.5)[0].item() > 10


def test_loss_of_undecided_output_worked_out_by_hand() -> None:
    # One pixel of tumour makes its coarse pixel tumour, and the image one of a patient.
    target = torch.zeros(1, 1, 8, 8)
    target[0, 0, 3, 3] = 1
    output = Output(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 1, 1), torch.tensor([2.0]))
    full, coarse = 1 - (2 * 0.5 + 1) / (64 * 0.5 + 1 + 1), 1 - (2 * 0.5 + 1) / (0.5 + 1 + 1)
    entropy, patient = 2.5 * math.log(2), math.log1p(math.exp(-2))
    expected = entropy + full + COARSE_WEIGHT * (entropy + coarse) + PATIENT_WEIGHT * patient
    assert training_loss(output, target, 2.5, 0.0)[0].item() == pytest.approx(expected)
