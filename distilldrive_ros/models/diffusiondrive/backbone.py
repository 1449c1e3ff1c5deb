"""TransFuser backbone: image and LiDAR trunks exchange features after every stage (spec 3.1 to 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.backbones.folded import FoldedResNet
from distilldrive_ros.models.backbones.resnet import ResNet, build_resnet
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.execution import Execution

Trunk = ResNet | FoldedResNet


class FusionAttention(nn.Module):
    """Self-attention with separate projections; names as in the official state dict."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """[B, N, width] -> [B, N - first, width]: tokens before `first` are looked at but get no result."""
        q, k, v = (
            layer(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.query, x[:, first:]), (self.key, x), (self.value, x))
        )
        y: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y


class FusionBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = FusionAttention(width, num_heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """[B, N, width] -> [B, N - first, width]; see FusionAttention."""
        x = x[:, first:] + self.attn(self.ln1(x), first)
        return x + self.mlp(self.ln2(x))


class FusionTransformer(nn.Module):
    """Joint attention over pooled image and LiDAR cells."""

    def __init__(self, width: int, num_tokens: int, num_heads: int, num_layers: int) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, num_tokens, width))
        self.blocks = nn.Sequential(*(FusionBlock(width, num_heads) for _ in range(num_layers)))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, image: Tensor, lidar: Tensor, with_image: bool = True) -> tuple[Tensor | None, Tensor]:
        """image [B, C, h, w] and lidar [B, C, g, g] -> the same shapes; no image where nobody wants it."""
        count = image.shape[2] * image.shape[3]
        x = torch.cat([_to_tokens(image), _to_tokens(lidar)], dim=1) + self.pos_emb
        *earlier, last = self.blocks
        for block in earlier:
            x = block(x)
        x = self.ln_f(last(x, 0 if with_image else count))
        if not with_image:
            return None, _to_map(x, lidar)
        return _to_map(x[:, :count], image), _to_map(x[:, count:], lidar)


@dataclass(frozen=True)
class FusionStage:
    """Features of one stage before and after fusion, [B, C, H, W]. `image` is None where nobody would read it."""

    image_before: Tensor
    lidar_before: Tensor
    image: Tensor | None
    lidar: Tensor


@dataclass(frozen=True)
class BackboneOutputs:
    """`bev_up` [B, bev_channels, G, G] covers the LiDAR range, x along rows; `bev` [B, C, g, g] is the last stage."""

    bev_up: Tensor
    bev: Tensor
    stages: tuple[FusionStage, ...]


class TransfuserBackbone(nn.Module):
    """Image and LiDAR trunks with a fusion block after each of the four stages."""

    def __init__(self, config: DiffusionDriveConfig) -> None:
        super().__init__()
        self.image_encoder = build_resnet(config.backbone, config.backbone_width)
        self.lidar_encoder = build_resnet(config.backbone, config.backbone_width, input_channels=1)
        channels = self.image_encoder.out_channels
        tokens = config.image_grid[0] * config.image_grid[1] + config.lidar_grid**2
        self.transformers = nn.ModuleList(
            FusionTransformer(c, tokens, config.fusion_heads, config.fusion_layers) for c in channels
        )
        self.lidar_channel_to_img = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        self.img_channel_to_lidar = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        width = config.bev_channels
        self.up_conv5 = nn.Conv2d(width, width, 3, padding=1)
        self.up_conv4 = nn.Conv2d(width, width, 3, padding=1)
        self.c5_conv = nn.Conv2d(channels[-1], width, 1)
        self._bev_grid = config.bev_grid

    def forward(
        self, camera: Tensor, lidar: Tensor, execution: Execution, trunks: tuple[Trunk, Trunk] | None = None
    ) -> BackboneOutputs:
        """camera [B, 3, H, W] in 0..1, lidar [B, 1, L, L] in 0..1 -> bird's-eye features.

        `trunks`: stand-ins for the image and the LiDAR trunk that give the same, faster.
        """
        image_trunk, lidar_trunk = trunks or (self.image_encoder, self.lidar_encoder)
        image, points = _stem(image_trunk, camera), _stem(lidar_trunk, lidar)
        stages = []
        for index, (image_stage, lidar_stage) in enumerate(
            zip(_stages(image_trunk), _stages(lidar_trunk), strict=True)
        ):
            image, points = image_stage(image), lidar_stage(points)
            last = index + 1 == len(self.transformers)
            stage = self._fuse(index, image, points, with_image=not last or execution is Execution.PLAIN)
            stages.append(stage)
            image, points = image if stage.image is None else stage.image, stage.lidar
        return BackboneOutputs(self._up_sample(points), points, tuple(stages))

    def _fuse(self, index: int, image: Tensor, lidar: Tensor, with_image: bool) -> FusionStage:
        """Pool both maps to tokens, attend, add the result back. `with_image`: whether the image map is wanted."""
        pool = 2 ** (len(self.transformers) - 1 - index)
        fused_image, fused_lidar = self.transformers[index](
            F.avg_pool2d(image, pool), self.lidar_channel_to_img[index](F.avg_pool2d(lidar, pool)), with_image
        )
        new_lidar = lidar + _resized(self.img_channel_to_lidar[index](fused_lidar), lidar.shape[-2:])
        new_image = image + _resized(fused_image, image.shape[-2:]) if with_image else None
        return FusionStage(image, lidar, new_image, new_lidar)

    def _up_sample(self, bev: Tensor) -> Tensor:
        p5 = F.relu(self.c5_conv(bev))
        p4 = F.relu(self.up_conv5(_resized(p5, (2 * bev.shape[-2], 2 * bev.shape[-1]))))
        return F.relu(self.up_conv4(_resized(p4, (self._bev_grid, self._bev_grid))))


def _stem(trunk: Trunk, x: Tensor) -> Tensor:
    """First convolution and pooling."""
    first = trunk.stem(x).relu_() if isinstance(trunk, FoldedResNet) else trunk.relu(trunk.bn1(trunk.conv1(x)))
    y: Tensor = trunk.maxpool(first)
    return y


def _stages(trunk: Trunk) -> tuple[nn.Module, ...]:
    if isinstance(trunk, FoldedResNet):
        return tuple(trunk.stages)
    return trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4


def _to_tokens(x: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h w, C], without a copy where channels come last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """[B, h w, C] -> [B, C, h, w] of the size of `like`, channels last in memory."""
    return tokens.unflatten(1, tuple(like.shape[-2:])).permute(0, 3, 1, 2)


def _resized(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
