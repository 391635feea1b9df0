"""The networks. One is a small residual U-Net that works at a part of the resolution and answers at full resolution.

Folding 4 x 4 or 2 x 2 pixels into channels loses nothing of the input, and the output unfolds as many logits again, so
outlines stay sharp while the costly upper levels shrink. In equal time on a CPU, the many more images that such a
network sees are worth more than a finer grid inside; networks of both kinds average well (see docs/experiments.md).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PRIOR_LOGIT = -4.0  # logit of an untrained output: tumour is rare


class Output(NamedTuple):
    """What the network answers for a batch of B images of H x W.

    Attributes:
        tumour: (B, 1, H, W) logits.
        coarse: (B, 1, h, w) logits at the second level of the network, for deep supervision.
        patient: (B,) logits: is there a tumour anywhere in the image?
    """

    tumour: Tensor
    coarse: Tensor
    patient: Tensor


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution with normalisation and activation."""
    # BatchNorm, unlike InstanceNorm, stays in channels_last on a CPU and is folded away in the exported model.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside an identity (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.leaky_relu(x + self.second(self.first(x)), 0.01)


class SegmentationNetwork(nn.Module):
    """The way up of a U-Net and its heads; what the way down is, a subclass says.

    Args:
        features: channels of what `encode` gives.
        channels: feature channels of each level on the way up, finest first; one level fewer than `features`.
        pixel_unshuffle: pixels per side for which the finest level answers.
    """

    def __init__(self, features: Sequence[int], channels: Sequence[int], pixel_unshuffle: int) -> None:
        super().__init__()
        self._unshuffle = pixel_unshuffle
        self.lift, self.up = nn.ModuleList(), nn.ModuleList()
        below = features[-1]
        for skip, width in zip(features[-2::-1], channels[::-1], strict=True):
            self.lift.append(nn.ConvTranspose2d(below, width, 2, 2))
            self.up.append(nn.Sequential(convolution(width + skip, width), convolution(width, width)))
            below = width
        self.tumour = nn.Conv2d(channels[0], pixel_unshuffle**2, 1)
        self.coarse = nn.Conv2d(channels[1], 1, 1)
        self.patient = nn.Linear(2 * features[-1], 1)
        for output in (self.tumour, self.coarse):
            nn.init.constant_(output.bias, PRIOR_LOGIT)  # type: ignore[arg-type]

    def encode(self, x: Tensor) -> list[Tensor]:
        """The way down: (B, 1, H, W) intensity -> features, each at half of the resolution of the one before."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Output:
        """Segment and classify.

        Args:
            x: (B, 1, H, W) intensity in [0, 1]. H and W are multiples of 64.
        """
        skips = self.encode(x)
        x = skips.pop()
        patient = self.patient(torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))[:, 0]
        coarse = x
        for level, (lift, up) in enumerate(zip(self.lift, self.up, strict=True)):
            x = up(torch.cat([lift(x), skips.pop()], 1))
            if level == len(self.up) - 2:
                coarse = self.coarse(x)
        return Output(F.pixel_shuffle(self.tumour(x), self._unshuffle), coarse, patient)


class UNet(SegmentationNetwork):
    """A U-Net that starts from random weights.

    Args:
        channels: feature channels of each level.
        pixel_unshuffle: pixels per side that are folded into channels at the input and unfolded at the output.
    """

    def __init__(self, channels: Sequence[int], pixel_unshuffle: int) -> None:
        super().__init__(channels, channels[:-1], pixel_unshuffle)
        self.down = nn.ModuleList()
        inputs = pixel_unshuffle**2
        for level, width in enumerate(channels):
            blocks = [Residual(width) for _ in range(1 if level < 3 else 2)]
            self.down.append(nn.Sequential(convolution(inputs, width, 1 if level == 0 else 2), *blocks))
            inputs = width

    def encode(self, x: Tensor) -> list[Tensor]:
        """See `SegmentationNetwork`."""
        x = F.pixel_unshuffle(x, self._unshuffle)
        features = []
        for block in self.down:
            x = block(x)
            features.append(x)
        return features
