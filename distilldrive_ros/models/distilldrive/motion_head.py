"""Motion and planning head: futures of the agents and plans of the ego (spec 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive import instance_queue
from distilldrive_ros.models.distilldrive.attention import ResidualAttention, decoupled_attention
from distilldrive_ros.models.distilldrive.config import (
    PUBLISHED_FORM,
    STATUS_SIZE,
    DistillDriveConfig,
    MotionConfig,
)
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep
from distilldrive_ros.models.distilldrive.generative import LatentDistribution, LatentPredictor, sample_latent
from distilldrive_ros.models.distilldrive.instance_bank import gather_rows
from distilldrive_ros.models.distilldrive.mlp import AsymmetricFFN, classification_branch, regression_branch
from distilldrive_ros.models.distilldrive.mode_queries import ModeQueries
from distilldrive_ros.models.distilldrive.outputs import GaussianLatent, MotionOutputs, PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import QueueState
from distilldrive_ros.models.distilldrive.training_only import StatusValue, feature_adapter
from distilldrive_ros.models.network_form import keep_form

MOTION_BLOCK = ("temp_gnn", "gnn", "norm", "cross_gnn", "norm", "ffn", "norm")

Tokens = tuple[Tensor, Tensor]
"""Feature and position embedding, [B, N, D] each."""

LatentSource = Callable[[PerceptionOutputs, GaussianLatent], GaussianLatent]
"""Chooses what the generative module samples from, given the detections and the latent of the present."""


@dataclass(frozen=True)
class _Context:
    """What the tokens attend to: their own history (with entries to ignore), instances, polylines."""

    history: Tokens
    ignored: Tensor
    instances: Tokens
    polylines: Tokens


class MotionRefinement(nn.Module):
    """Scores and per-step offsets of agents and ego, and the ego status (spec 6.4)."""

    def __init__(self, width: int, motion: MotionConfig) -> None:
        super().__init__()
        self.motion_cls_branch = classification_branch(width, 1)
        self.motion_reg_branch = regression_branch(width, 2 * motion.agent_steps)
        self.plan_cls_branch = classification_branch(width, 1)
        self.plan_reg_branch = regression_branch(width, 2 * motion.ego_steps)
        self.plan_status_branch = regression_branch(width, STATUS_SIZE)

    def motion(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """query [B, N, modes, D] -> logits [B, N, modes], offsets [B, N, modes, steps, 2]."""
        return self.motion_cls_branch(query).squeeze(-1), self.motion_reg_branch(query).unflatten(-1, (-1, 2))

    def plan(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """query [B, K, D] -> logits [B, K], offsets [B, K, steps, 2]."""
        return self.plan_cls_branch(query).squeeze(-1), self.plan_reg_branch(query).unflatten(-1, (-1, 2))


class MotionPlanHead(ModeQueries):
    """Tokens are all agents, then the ego modes of all commands. Layer 7 x blocks is the generative step."""

    def __init__(self, config: DistillDriveConfig) -> None:
        width, motion = config.embed_dim, config.motion
        super().__init__(width, motion)
        self.config = config
        self.instance_queue = instance_queue.InstanceQueue()
        self.operations = MOTION_BLOCK * motion.num_decoders
        layers = [motion_operation(name, width, config.num_heads) for name in self.operations]
        self.layers = nn.ModuleList([*layers, nn.Identity(), MotionRefinement(width, motion)])
        self.fc_before = nn.Linear(width, 2 * width, bias=False)
        self.fc_after = nn.Linear(2 * width, width, bias=False)
        self.present_distribution = LatentDistribution(width, (2 * width, 2 * width, width // 2), motion)
        future = 2 * motion.ego_steps
        self.future_distribution = LatentDistribution(future, (2 * future, 2 * future, motion.ego_steps), motion)
        self.predict_model = LatentPredictor(width, motion)
        self.dqn_model = StatusValue()
        self.feature_adapter = feature_adapter(width)
        keep_form(self, motion.form, PUBLISHED_FORM)

    def forward(
        self,
        detection: PerceptionOutputs,
        ids: Tensor,
        confidence: Tensor,
        polylines: PerceptionOutputs,
        queue: QueueState | None,
        step: FrameStep | None,
        encode_boxes: Callable[[Tensor], Tensor],
        epsilon: Tensor | None,
        latent_source: LatentSource | None = None,
    ) -> tuple[MotionOutputs, QueueState]:
        """One frame: raw futures and plans, and the queue for the next frame.

        ids and confidence [B, N] as the detection bank has them (confidence of remembered rows decays slowly);
        `encode_boxes` is the detection head's anchor encoder; epsilon [B, N + K, latent] or None for 0;
        `latent_source` replaces the latent of the present as what is sampled (training).
        """
        motion = self.config.motion
        batch, num_agents, _ = detection.feature.shape
        ego_queries = self.ego_queries().expand(batch, -1, -1)
        ego_box = self.instance_queue.ego_box(queue, step, batch, motion.measured_speed)
        ego_box = ego_box[:, None].expand(-1, motion.num_ego_tokens, -1)
        window = instance_queue.advance(
            queue,
            step,
            ids,
            detection.feature,
            detection.anchors[-1],
            ego_queries,
            ego_box,
            motion.queue_length,
            motion.tracking_threshold,
        )
        ego = (ego_queries, encode_boxes(ego_box))
        tokens = join_tokens((detection.feature, detection.embed), ego)
        history = (
            instance_queue.temporal_keys(window.agent_feature, window.ego_feature),
            instance_queue.temporal_keys(encode_boxes(window.agent_box), encode_boxes(window.ego_box)),
        )
        context = _Context(
            history,
            instance_queue.ignored_entries(window),
            join_tokens(_most_confident(detection, motion.num_agent_keys), ego),
            _most_confident(polylines, motion.num_map_keys),
        )
        feature, ego_blocks = self._decode(tokens, context, num_agents)
        present = self.present_distribution(feature)
        if motion.generative:
            latent = present if latent_source is None else latent_source(detection, present)
            feature = feature + self.predict_model(sample_latent(latent, epsilon), feature)
        refined = self._refine(feature, tokens[1], detection)
        ego_feature = feature[:, num_agents:]
        outputs = MotionOutputs(
            *refined, ego_queries, ego_feature, ego_blocks, present, window.period, window.ego_period
        )
        return outputs, instance_queue.store(window, ids, confidence, ego_feature, outputs.status)

    def _decode(self, tokens: Tokens, context: _Context, num_agents: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All blocks; also returns the ego features after the feed-forward layer of each."""
        feature, position = tokens
        shape = feature.shape
        ego_blocks = []
        for name, layer in zip(self.operations, self.layers, strict=False):
            if name == "temp_gnn":
                query = (feature.reshape(-1, 1, shape[-1]), position.reshape(-1, 1, shape[-1]))
                feature = self._decoupled(layer, query, context.history, context.ignored).view(shape)
            elif name == "gnn":
                feature = self._decoupled(layer, (feature, position), context.instances)
            elif name == "cross_gnn":
                key, key_position = context.polylines
                feature = layer(feature, feature + position, key + key_position, key)
            else:
                feature = layer(feature)
            if name == "ffn":
                ego_blocks.append(feature[:, num_agents:])
        return feature, tuple(ego_blocks)

    def _decoupled(self, layer: nn.Module, query: Tokens, key: Tokens, ignored: Tensor | None = None) -> Tensor:
        assert isinstance(layer, ResidualAttention)
        return decoupled_attention(layer, self.fc_before, self.fc_after, query, key, ignored)

    def _refine(
        self, feature: Tensor, position: Tensor, detection: PerceptionOutputs
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Motion logits and offsets, plan logits and offsets, status, plan query."""
        refinement = self.layers[-1]
        assert isinstance(refinement, MotionRefinement)
        num_agents = detection.feature.shape[1]
        positioned = feature + position
        boxes = detection.anchors[-1]
        yaw = torch.atan2(boxes[..., 6], boxes[..., 7])
        mode_code = self.motion_mode_code(detection.logits[-1].argmax(dim=-1), yaw)
        motion_logits, motion_offsets = refinement.motion(mode_code + positioned[:, :num_agents, None])
        plan_query = self.plan_mode_code() + positioned[:, num_agents:]
        plan_logits, plan_offsets = refinement.plan(plan_query)
        pooled = feature[:, num_agents:].mean(dim=1) + position[:, num_agents:].mean(dim=1)
        status = refinement.plan_status_branch(pooled)
        return motion_logits, motion_offsets, plan_logits, plan_offsets, status, plan_query


def _most_confident(outputs: PerceptionOutputs, count: int) -> Tokens:
    """The `count` instances of the highest class score: features and embeddings [B, count, D]."""
    rows = outputs.logits[-1].max(dim=-1).values.sigmoid().topk(count, dim=1).indices
    return gather_rows(outputs.feature, rows), gather_rows(outputs.embed, rows)


def join_tokens(first: Tokens, second: Tokens) -> Tokens:
    """The rows of one set of tokens, then those of the other."""
    return torch.cat((first[0], second[0]), dim=1), torch.cat((first[1], second[1]), dim=1)


def motion_operation(name: str, width: int, num_heads: int) -> nn.Module:
    """Layer of the operation `name` of `MOTION_BLOCK`."""
    if name in ("temp_gnn", "gnn"):
        return ResidualAttention(2 * width, num_heads)
    if name == "cross_gnn":
        return ResidualAttention(width, num_heads)
    if name == "ffn":
        return AsymmetricFFN(width, 2 * width, width)
    return nn.LayerNorm(width)
