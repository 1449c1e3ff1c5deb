"""Mode selector: scores candidates by what a driving metric would say of them, coarse then fine (spec 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.bev_attention import CrossBevAttention
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.denoiser import attend_to_single, feed_forward
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.scene_encoder import SceneFeatures
from distilldrive_ros.models.distilldrive.attention import MultiheadAttention

SUB_SCORES = ("NC", "DAC", "TTC", "EP", "C")
"""No collision at fault, drivable area, time to collision, progress, comfort: order of all logits here."""

_PROGRESS = "EP"
_WEIGHTS = {"TTC": 5.0, "EP": 5.0, "C": 2.0}


@dataclass(frozen=True)
class SelectorOutputs:
    """Scores of both stages, logits in the order of SUB_SCORES.

    `coarse_logits` [B, 5, N], `coarse_score` [B, N]; `selected` [B, K] candidate indices, best coarse score first;
    `fine_logits` [B, 5, K] and `fine_score` [B, K] per fine layer, the last one decides. `coarse_feature` [B, N, S] and
    `fine_features` [B, K, S]: what the heads read.
    """

    coarse_feature: Tensor
    coarse_logits: Tensor
    coarse_score: Tensor
    selected: Tensor
    fine_features: tuple[Tensor, ...]
    fine_logits: tuple[Tensor, ...]
    fine_score: tuple[Tensor, ...]


def combined_score(logits: Tensor) -> Tensor:
    """Logits [B, 5, N] -> score [B, N] in 0..1: NC DAC (5 TTC + 5 EP + 2 C) / 12 of their sigmoids."""
    s = dict(zip(SUB_SCORES, logits.sigmoid().unbind(1), strict=True))
    weighted = torch.stack([weight * s[name] for name, weight in _WEIGHTS.items()]).sum(dim=0)
    return s["NC"] * s["DAC"] * weighted / sum(_WEIGHTS.values())


def progress_head(width: int) -> nn.Sequential:
    """Deeper head for the progress: feature [..., width] -> logit [..., 1]."""

    def block() -> list[nn.Module]:
        return [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)]

    return nn.Sequential(*block(), *block(), nn.Linear(width, 1))


class ScorerLayer(nn.Module):
    """Attention of every candidate to the map, the agents, all other candidates and the ego query."""

    def __init__(self, config: DiffusionDriveConfig) -> None:
        super().__init__()
        width, heads = config.scorer_dim, config.scorer_heads
        self.cross_bev_attention = CrossBevAttention(width, config.embed_dim, config.num_points, config.lidar_range)
        self.agent_input = nn.Linear(config.embed_dim, width)
        self.ego_input = nn.Linear(config.embed_dim, width)
        self.cross_agent_attention = MultiheadAttention(width, heads, 0.1)
        self.cross_ego_attention = MultiheadAttention(width, heads, 0.1)
        self.self_attn = MultiheadAttention(width, heads, 0.1)
        self.ffn = feed_forward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)

    def forward(self, feature: Tensor, points: Tensor, scene: SceneFeatures, execution: Execution) -> Tensor:
        """feature [B, N, S] of candidates with points [B, N, P, 2] in metres -> [B, N, S]."""
        bev = self.cross_bev_attention
        x = bev(feature, points, scene.padded_bev if execution is Execution.SPARSE else bev.value_map(scene.cross_bev))
        agents = self.agent_input(scene.agents_query)
        x = self.norm1(x + self.cross_agent_attention(x, agents, agents))
        x = self.norm2(x + self.self_attn(x, x, x))
        ego = self.ego_input(scene.ego_query)
        x = self.norm3(x + attend_to_single(self.cross_ego_attention, x, ego, execution))
        out: Tensor = self.norm4(self.ffn(x))
        return out
