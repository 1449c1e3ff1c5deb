"""A residual network for inference only: batch norms folded into the convolutions, sums and ReLUs in place."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from distilldrive_ros.models.backbones.resnet import BasicBlock, Bottleneck, ResNet


def fold_batch_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what both do in evaluation mode, folded in float64. The arguments stay as they are."""
    wide = fuse_conv_bn_eval(copy.deepcopy(convolution).double().eval(), copy.deepcopy(norm).double().eval())
    return wide.to(convolution.weight.dtype).requires_grad_(False)


class _FoldedBlock(nn.Module):
    """A residual block of either kind."""

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if isinstance(block, Bottleneck):
            pairs.append((block.conv3, block.bn3))
        self.convolutions = nn.ModuleList(fold_batch_norm(*pair) for pair in pairs)
        self.downsample: nn.Conv2d | None = None
        if isinstance(block.downsample, nn.Sequential):
            convolution, norm = block.downsample
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            self.downsample = fold_batch_norm(convolution, norm)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        for convolution in self.convolutions[:-1]:
            x = convolution(x).relu_()
        return self.convolutions[-1](x).add_(skip).relu_()


def _fold_stage(stage: nn.Sequential) -> nn.Sequential:
    blocks = [block for block in stage if isinstance(block, BasicBlock | Bottleneck)]
    return nn.Sequential(*map(_FoldedBlock, blocks))


class FoldedResNet(nn.Module):
    """What a ResNet does in evaluation mode, from a copy of its weights."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        self.stem = fold_batch_norm(network.conv1, network.bn1)
        self.maxpool = network.maxpool
        stages = (network.layer1, network.layer2, network.layer3, network.layer4)
        self.stages = nn.ModuleList(_fold_stage(stage) for stage in stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """[N, 3, H, W] -> four feature maps as ResNet returns them."""
        x = self.maxpool(self.stem(images).relu_())
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return tuple(found)
