import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.preprocess import MULTIPLE  # noqa: E402
from mipseg.training.loss import soft_dice, training_loss  # noqa: E402
from mipseg.training.network import Output, UNet  # noqa: E402


def test_shapes_follow_the_input():
    network = UNet((8, 8, 8, 8, 16))
    output = network(torch.rand(2, 1, 2 * MULTIPLE, 3 * MULTIPLE))
    assert output.tumour.shape == (2, 1, 2 * MULTIPLE, 3 * MULTIPLE)
    assert output.coarse.shape == (2, 1, 2 * MULTIPLE // 8, 3 * MULTIPLE // 8)
    assert output.patient.shape == (2,)


def test_untrained_network_calls_little_tumour():
    torch.manual_seed(0)
    output = UNet((8, 8, 8, 8, 16))(torch.rand(2, 1, MULTIPLE, MULTIPLE))
    assert output.tumour.sigmoid().mean() < 0.1


def test_soft_dice_of_hand_worked_batch():
    target = torch.tensor([1.0, 1.0, 0.0, 0.0])
    probability = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert soft_dice(probability, target).item() == pytest.approx(1 - 3 / 5)
    assert soft_dice(torch.zeros(4), torch.zeros(4)).item() == 0


def test_loss_falls_from_wrong_to_right():
    target = torch.zeros(2, 1, 64, 64)
    target[0, 0, 10:30, 10:30] = 1

    def output(sign: float) -> Output:
        logits = sign * 20 * (target - 0.5)
        coarse = sign * 20 * (torch.nn.functional.max_pool2d(target, 8) - 0.5)
        return Output(logits, coarse, sign * 20 * torch.tensor([0.5, -0.5]))

    assert training_loss(output(1), target).item() < 0.01
    assert training_loss(output(-1), target).item() > 10
