"""Residual networks with the parameter names of torchvision (no classifier), written from the paper.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016); the bottleneck has its stride in the 3x3
convolution. ImageNet weights in torchvision's naming load directly once `fc.*` is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


def _conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip connection (ResNet-18 and -34)."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, width, H / stride, W / stride]."""
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + skip)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolutions and a skip connection (ResNet-50 and deeper)."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, 4 width, H / stride, W / stride]."""
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x + skip)


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """Feature extractor that returns all four stages, strides 4, 8, 16 and 32.

    `width` is the channel count of the stem (64 in the paper); smaller numbers give thinner networks of equal depth.
    """

    def __init__(self, block: Block, depths: Sequence[int], width: int = 64, input_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        self.layer1, channels = _stage(block, channels, width, depths[0], 1)
        self.layer2, channels = _stage(block, channels, 2 * width, depths[1], 2)
        self.layer3, channels = _stage(block, channels, 4 * width, depths[2], 2)
        self.layer4, channels = _stage(block, channels, 8 * width, depths[3], 2)
        self.out_channels = tuple(width * factor * block.expansion for factor in (1, 2, 4, 8))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[N, 3, H, W] -> four feature maps, [N, out_channels[i], H / 2^(i+2), W / 2^(i+2)]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        stage1 = self.layer1(x)
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        return stage1, stage2, stage3, self.layer4(stage3)

    def initialize(self, generator: torch.Generator) -> None:
        """Fill every parameter from `generator`: He-normal (fan out) kernels, unit norms."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)


def _stage(block: Block, inputs: int, width: int, depth: int, stride: int) -> tuple[nn.Sequential, int]:
    outputs = width * block.expansion
    downsample: nn.Module | None = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
    blocks: list[nn.Module] = [block(inputs, width, stride, downsample)]
    blocks += [block(outputs, width, 1, None) for _ in range(depth - 1)]
    return nn.Sequential(*blocks), outputs


RESNETS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


def build_resnet(name: str, width: int = 64, input_channels: int = 3) -> ResNet:
    """Network by name (`resnet18`, `resnet34`, `resnet50`); raises ValueError for another one."""
    if name not in RESNETS:
        raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(sorted(RESNETS))}")
    block, depths = RESNETS[name]
    return ResNet(block, depths, width, input_channels)
