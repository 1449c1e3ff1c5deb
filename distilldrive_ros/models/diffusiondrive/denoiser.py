"""One denoising pass: noisy way-points in, refined way-points out (spec 4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.bev_attention import BevSource, CrossBevAttention
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.scene_encoder import SceneFeatures
from distilldrive_ros.models.distilldrive.attention import MultiheadAttention

POSE_SIZE = 3
_DROPOUT = 0.1


@dataclass(frozen=True)
class PassOutputs:
    """By decoder layer: `poses` [B, M, P, 3] (x, y m, the network's own heading rad), `mode_logits` [B, M] or None.

    `features` [B, M, D], what both are read off, are handed over in training alone.
    """

    poses: tuple[Tensor, ...]
    mode_logits: tuple[Tensor | None, ...]
    features: tuple[Tensor, ...] = ()


def feed_forward(width: int) -> nn.Sequential:
    """Two linear layers, four times as wide between."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))


def score_head(width: int) -> nn.Sequential:
    """Feature [..., width] -> logit [..., 1]."""
    hidden = [nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)]
    return nn.Sequential(*hidden, nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), nn.Linear(width, 1))


def attend_to_single(attention: MultiheadAttention, query: Tensor, key: Tensor, execution: Execution) -> Tensor:
    """Attention of query [B, M, D] to one key [B, 1, D]. Its weight is 1, so the result is the same for all queries."""
    if execution is Execution.PLAIN:
        plain: Tensor = attention(query, key, key)
        return plain
    weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    constant: Tensor = attention.out_proj(nn.functional.linear(key, weight, bias))
    return constant


class TimeModulation(nn.Module):
    """Scale and shift by the diffusion time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_shift_mlp = nn.Sequential(nn.Mish(), nn.Linear(width, 2 * width))

    def forward(self, feature: Tensor, time: Tensor) -> Tensor:
        """feature [B, M, D], time [B, 1, D] -> [B, M, D]."""
        scale, shift = self.scale_shift_mlp(time).chunk(2, dim=-1)
        return feature * (1 + scale) + shift


class TaskDecoder(nn.Module):
    """Mode logit and offsets of the way-points."""

    def __init__(self, width: int, num_points: int) -> None:
        super().__init__()
        self.plan_cls_branch = score_head(width)
        self.plan_reg_branch = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, num_points * POSE_SIZE),
        )  # fmt: skip


class DenoisingLayer(nn.Module):
    """Cross-attention to map, agents and ego, then time and offsets."""

    def __init__(self, config: DiffusionDriveConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.cross_bev_attention = CrossBevAttention(width, width, config.num_points, config.lidar_range)
        self.cross_agent_attention = MultiheadAttention(width, config.num_heads, 0.1)
        self.cross_ego_attention = MultiheadAttention(width, config.num_heads, 0.1)
        self.ffn = feed_forward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(_DROPOUT)
        self.time_modulation = TimeModulation(width)
        self.task_decoder = TaskDecoder(width, config.num_points)

    def forward(
        self,
        feature: Tensor,
        points: Tensor,
        time: Tensor,
        scene: SceneFeatures,
        source: BevSource,
        execution: Execution,
        with_modes: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """feature [B, M, D], points [B, M, P, 2] m, time [B, 1, D] -> poses [B, M, P, 3], logits [B, M] or None, and
        the feature [B, M, D] that both are read off."""
        x = self.cross_bev_attention(feature, points, source)
        x = self.norm1(x + self.dropout(self.cross_agent_attention(x, scene.agents_query, scene.agents_query)))
        x = self.norm2(x + self.dropout(attend_to_single(self.cross_ego_attention, x, scene.ego_query, execution)))
        x = self.time_modulation(self.norm3(self.ffn(x)), time)
        raw = self.task_decoder.plan_reg_branch(x).unflatten(-1, (-1, POSE_SIZE))
        poses = torch.cat([raw[..., :2] + points, math.pi * raw[..., 2:].tanh()], dim=-1)
        return poses, self.task_decoder.plan_cls_branch(x).squeeze(-1) if with_modes else None, x


class LayerStack(nn.Module):
    """Holds layers under the name `layers` of the official state dict."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
