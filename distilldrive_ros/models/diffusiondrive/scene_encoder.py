"""From sensor tensors to what the planner attends to: bird's-eye map, ego query, agent queries (spec 3.4 and 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.bev_attention import PaddedMap
from distilldrive_ros.models.diffusiondrive.config import AGENT_SIZE, DiffusionDriveConfig


@dataclass(frozen=True)
class SceneFeatures:
    """`cross_bev` [B, G, G, D], x along rows, y along columns, +-range; `ego_query` [B, 1, D].

    `agents_query` [B, A, D]. `tokens` [B, N, D] is the memory of the query decoder; `queries` [B, 1 + A, D] after
    each of its layers.
    """

    cross_bev: Tensor
    ego_query: Tensor
    agents_query: Tensor
    tokens: Tensor
    queries: tuple[Tensor, ...]

    @cached_property
    def padded_bev(self) -> PaddedMap:
        """`cross_bev` with a border of zeros, made when first asked for."""
        return PaddedMap.of(self.cross_bev)


@dataclass(frozen=True)
class AgentOutputs:
    """`states` [B, A, 5]: x, y (m), heading (rad), length, width (m); `logits` [B, A] that there is such a vehicle."""

    states: Tensor
    logits: Tensor


class AgentHead(nn.Module):
    """Vehicles around: up to A boxes from A queries."""

    def __init__(self, config: DiffusionDriveConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self._mlp_states = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, AGENT_SIZE))
        self._mlp_label = nn.Sequential(nn.Linear(width, 1))
        self._range = config.lidar_range

    def forward(self, queries: Tensor) -> AgentOutputs:
        """[B, A, D] -> boxes in the ego frame."""
        raw = self._mlp_states(queries)
        states = torch.cat([self._range * raw[..., :2].tanh(), math.pi * raw[..., 2:3].tanh(), raw[..., 3:]], dim=-1)
        return AgentOutputs(states, self._mlp_label(queries).squeeze(-1))


def cross_bev_map(bev_tokens: Tensor, bev_up: Tensor, projection: nn.Sequential) -> Tensor:
    """Coarse tokens [B, g * g, D] and fine map [B, C, G, G] to the map that trajectories sample, [B, G, G, D]."""
    side = math.isqrt(bev_tokens.shape[1])
    coarse = bev_tokens.transpose(1, 2).unflatten(2, (side, side))
    wide = F.interpolate(coarse, size=tuple(bev_up.shape[-2:]), mode="bilinear", align_corners=False)
    out: Tensor = projection(torch.cat([wide, bev_up], dim=1).permute(0, 2, 3, 1))
    return out


def hoisted_cross_bev_map(bev_tokens: Tensor, bev_up: Tensor, projection: nn.Sequential) -> Tensor:
    """As `cross_bev_map`, with five times less work: a linear layer and an interpolation may change places."""
    first, activation, norm = projection
    assert isinstance(first, nn.Linear)
    width, side = bev_tokens.shape[-1], math.isqrt(bev_tokens.shape[1])
    coarse = F.linear(bev_tokens, first.weight[:, :width], first.bias).unflatten(1, (side, side)).permute(0, 3, 1, 2)
    wide = F.interpolate(coarse, size=tuple(bev_up.shape[-2:]), mode="bilinear", align_corners=False)
    fine = F.linear(bev_up.permute(0, 2, 3, 1), first.weight[:, width:])
    out: Tensor = norm(activation(fine.add_(wide.permute(0, 2, 3, 1))))
    return out


def decode_queries(decoder: nn.TransformerDecoder, queries: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
    """Output of every layer of the query decoder, [B, 1 + A, D] each."""
    outputs = []
    for layer in decoder.layers:
        queries = layer(queries, memory)
        outputs.append(queries)
    return tuple(outputs)
