import sys

import numpy as np
import onnxruntime
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: uv sync --extra train")

from mipseg.errors import ConfigError  # noqa: E402
from mipseg.model.preprocess import MULTIPLE  # noqa: E402
from mipseg.training.checkpoint import build_network, make_network  # noqa: E402
from mipseg.training.config import Config, PretrainedEncoder  # noqa: E402
from mipseg.training.onnx_file import to_onnx  # noqa: E402
from mipseg.training.predict import Probabilities  # noqa: E402
from mipseg.training.pretrained import MIN_INTENSITY, PACKAGE, PretrainedUNet, weights_file  # noqa: E402

CHANNELS = 8, 8, 8, 8, 8


@pytest.fixture(params=[("half", 0), ("full", 0), ("half", 1)], ids=["half", "full", "half, smoothed"])
def network(request: pytest.FixtureRequest) -> PretrainedUNet:
    torch.manual_seed(0)
    return PretrainedUNet(CHANNELS, *request.param).eval()


def test_shapes_follow_the_input(network: PretrainedUNet) -> None:
    output = network(torch.rand(2, 1, 2 * MULTIPLE, 3 * MULTIPLE))
    assert output.tumour.shape == (2, 1, 2 * MULTIPLE, 3 * MULTIPLE)
    assert output.coarse.shape == (2, 1, 2 * MULTIPLE // 4, 3 * MULTIPLE // 4)
    assert output.patient.shape == (2,)
    assert output.tumour.sigmoid().mean() < 0.1  # untrained, it calls little tumour


@pytest.mark.parametrize(
    ("encoder", "channels"), [("half", [8, 16, 24, 48, 120, 352]), ("full", [8 + 16, 24, 48, 120, 352, 192])]
)
def test_each_level_has_half_of_the_resolution_of_the_one_before(
    encoder: PretrainedEncoder, channels: list[int]
) -> None:
    network = PretrainedUNet(CHANNELS, encoder)
    shapes = [tuple(level.shape[1:]) for level in network.encode(torch.rand(2, 1, 2 * MULTIPLE, MULTIPLE))]
    assert shapes == [(width, 64 >> level, 32 >> level) for level, width in enumerate(channels)]


@pytest.mark.parametrize("encoder", ["half", "full"])
def test_colours_are_intensity_root_and_share_of_the_highest_nearby(encoder: PretrainedEncoder) -> None:
    network, seen = PretrainedUNet(CHANNELS, encoder).eval(), []
    network.stem.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0][0] + 1) / 2))
    image = torch.zeros(1, 1, 2 * MULTIPLE, 2 * MULTIPLE)
    image[0, 0, 60:62, 60:62], image[0, 0, 60:62, 74:76], image[0, 0, 60:62, 76:78] = 0.81, 0.25, 0.25
    network(image)
    # At half of the resolution, the peak is at 30 and reaches 7 pixels far: 37 knows it, 38 does not.
    fine = 1 if encoder == "half" else 2
    intensity, root, share = seen[0][:, 30 * fine, [30 * fine, 38 * fine - 1, 38 * fine]]
    assert intensity.tolist() == pytest.approx([0.81, 0.25, 0.25], abs=1e-6)
    assert root.tolist() == pytest.approx([0.9, 0.5, 0.5], abs=1e-6)
    pairs = [(0.81, 0.81), (0.25, 0.81), (0.25, 0.25)]
    assert share.tolist() == pytest.approx([one / (highest + MIN_INTENSITY) for one, highest in pairs], abs=1e-6)


def test_smoothing_is_for_what_the_encoder_sees_alone() -> None:
    network, seen = PretrainedUNet(CHANNELS, "full", smoothing=1.5).eval(), []
    network.stem.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0][0, 0] + 1) / 2))
    network.pixels.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 1, 2 * MULTIPLE, MULTIPLE)
    network(image)
    pixels, smooth = sorted(seen, key=torch.Tensor.dim, reverse=True)
    assert torch.equal(torch.nn.functional.pixel_shuffle(pixels, 2), image)
    wanted = ndimage.gaussian_filter(image[0, 0].numpy(), 1.5, mode="nearest", radius=5)
    np.testing.assert_allclose(smooth.numpy(), wanted, atol=1e-5)


def test_the_whole_way_down_starts_from_photographs(network: PretrainedUNet) -> None:
    pytest.importorskip(PACKAGE, reason=f"{PACKAGE} is not installed: uv sync --extra train")
    theirs = torch.load(weights_file(), weights_only=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_photographs()
    after = network.state_dict()
    down = {name for name in after if name.startswith(("stem.", "stages.")) and "batches" not in name}
    assert {name for name in after if not torch.equal(before[name], after[name])} == down
    # Every tensor of the file but those of its classifier, and of the layer before that, is used once.
    rest = ("_fc.", "_conv_head.", "_bn1.")
    there = [value for name, value in theirs.items() if not name.startswith(rest) and "batches" not in name]
    used = sorted(float(after[name].double().sum()) for name in down)
    assert used == sorted(float(value.double().sum()) for value in there)
    assert torch.equal(after["stages.3.2.depth.0.weight"], theirs["_blocks.9._depthwise_conv.weight"])
    assert torch.equal(after["stages.6.0.project.1.running_var"], theirs["_blocks.20._bn2.running_var"])


def test_a_configuration_says_which_network_and_training_starts_from_photographs() -> None:
    pytest.importorskip(PACKAGE, reason=f"{PACKAGE} is not installed: uv sync --extra train")
    network = make_network(Config("any", encoder="full", channels=CHANNELS))
    fresh = build_network("full", CHANNELS, 2)
    photographs = PretrainedUNet(CHANNELS, "full")
    photographs.load_photographs()
    name = "stages.5.0.expand.0.weight"
    assert torch.equal(network.state_dict()[name], photographs.state_dict()[name])
    assert not torch.equal(network.state_dict()[name], fresh.state_dict()[name])
    assert type(make_network(Config("any", channels=CHANNELS))).__name__ == "UNet"


def test_without_the_package_one_is_told_which(network: PretrainedUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ConfigError, match=f"pip install {PACKAGE}"):
        network.load_photographs()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's exporter warns of itself
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_exported_file_gives_the_same_answer(network: PretrainedUNet) -> None:
    image = torch.rand(1, 1, 3 * MULTIPLE, 2 * MULTIPLE)
    with torch.no_grad():
        network.tumour.weight.mul_(100)  # untrained, it says about the same everywhere
        reference, logit = Probabilities(network)(image)
    session = onnxruntime.InferenceSession(to_onnx(network), providers=["CPUExecutionProvider"])
    tumour, patient = session.run(None, {"intensity": image.numpy()})
    np.testing.assert_allclose(tumour, reference.numpy(), atol=0.005)  # large layers are rounded to 8 bits
    assert reference.std() > 0.01
    assert patient.item() == pytest.approx(logit.item(), abs=1e-2)
