"""Feature pyramid (spec 3): lateral 1x1, top-down nearest, 3x3; no norm, no activation."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class _Convolution(nn.Module):
    """A convolution one level down, as the official names have it (`lateral_convs.0.conv.weight`)."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class FeaturePyramid(nn.Module):
    """Feature pyramid network with one output per input level."""

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(_Convolution(c, out_channels, 1) for c in in_channels)
        self.fpn_convs = nn.ModuleList(_Convolution(out_channels, out_channels, 3) for _ in in_channels)

    def forward(self, stages: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Stages [N, in_channels[i], H_i, W_i], fine to coarse -> levels [N, out_channels, H_i, W_i]."""
        levels = [lateral(stage) for lateral, stage in zip(self.lateral_convs, stages, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            size = levels[i - 1].shape[-2:]
            levels[i - 1] = levels[i - 1] + F.interpolate(levels[i], size=size, mode="nearest")
        return tuple(conv(level) for conv, level in zip(self.fpn_convs, levels, strict=True))
