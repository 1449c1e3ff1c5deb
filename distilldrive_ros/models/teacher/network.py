"""The teacher as one pure step: (state, annotations) -> (state, outputs). Spec section 7."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive import instance_queue
from distilldrive_ros.models.distilldrive.attention import ResidualAttention, decoupled_attention
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep, frame_step
from distilldrive_ros.models.distilldrive.instance_queue import QueueWindow, past_speed
from distilldrive_ros.models.distilldrive.mode_queries import ModeQueries
from distilldrive_ros.models.distilldrive.motion_head import (
    MOTION_BLOCK,
    MotionRefinement,
    Tokens,
    join_tokens,
    motion_operation,
)
from distilldrive_ros.models.distilldrive.state import QueueState
from distilldrive_ros.models.distilldrive.training_only import StatusValue
from distilldrive_ros.models.network_form import keep_form
from distilldrive_ros.models.teacher.config import PUBLISHED_FORM, Flavour, TeacherConfig
from distilldrive_ros.models.teacher.encoders import AgentEncoder, LightBoxEncoder, MapEncoder
from distilldrive_ros.models.teacher.state import TeacherInputs, TeacherOutputs, TeacherState

_FORWARD_VELOCITY = 8
_EGO_ANCHOR = (0.0, 0.5, -1.06, math.log(4.08), math.log(1.73), math.log(1.56), math.pi / 2, 0.0, 0.0)


class EgoAnchor(nn.Module):
    """The ego's constant box `ego_anchor` [1, 9] with log sizes.

    An entry of the state dict in the label flavour only, which also puts the speed predicted one frame ago into it.
    """

    ego_anchor: Tensor

    def __init__(self, flavour: Flavour) -> None:
        super().__init__()
        self.feeds_speed = flavour is Flavour.LABEL
        box = torch.tensor([_EGO_ANCHOR])
        if self.feeds_speed:
            self.ego_anchor = nn.Parameter(box, requires_grad=False)
        else:
            self.register_buffer("ego_anchor", box, persistent=False)

    def forward(self, queue: QueueState | None, step: FrameStep | None, batch: int, measured: bool) -> Tensor:
        """Ego box [B, 11], undecoded; `measured`: see `past_speed`."""
        box = self.ego_anchor.expand(batch, -1)
        speed = past_speed(queue, step, measured)
        if (self.feeds_speed or measured) and speed is not None:
            box = torch.cat((box[:, :_FORWARD_VELOCITY], speed[:, None]), dim=1)
        return undecoded(box)


def undecoded(boxes: Tensor) -> Tensor:
    """Boxes [..., 9] with a yaw angle -> [..., 11] with sine, cosine and no vertical velocity; sizes as they come."""
    yaw = boxes[..., 6:7]
    vertical = torch.zeros_like(yaw)
    return torch.cat((boxes[..., :6], yaw.sin(), yaw.cos(), boxes[..., 7:9], vertical), dim=-1)


@dataclass(frozen=True)
class _Context:
    """What the tokens attend to: own history with entries to ignore, agents to ignore, polylines to ignore."""

    history: Tokens
    ignored_history: Tensor
    ignored_tokens: Tensor
    polylines: Tokens
    ignored_polylines: Tensor


class TeacherNetwork(ModeQueries):
    """Teacher network. It keeps nothing between calls; parameters carry the official names (spec 12.6).

    Its stored motion anchors have x and y swapped against the student's.
    """

    def __init__(self, config: TeacherConfig) -> None:
        width, motion = config.embed_dim, config.motion
        super().__init__(width, motion)
        self.config = config
        self.agent_encoder = AgentEncoder(config)
        self.map_encoder = MapEncoder(config)
        self.anchor_encoder = LightBoxEncoder(width)
        self.instance_queue = EgoAnchor(config.flavour)
        self.operations = MOTION_BLOCK * motion.num_decoders
        layers = [motion_operation(name, width, config.num_heads) for name in self.operations]
        self.layers = nn.ModuleList([*layers, MotionRefinement(width, motion)])
        self.fc_before = nn.Linear(width, 2 * width, bias=False)
        self.fc_after = nn.Linear(2 * width, width, bias=False)
        if config.flavour is Flavour.DISTRIBUTION:
            self.dqn_model = StatusValue()
        keep_form(self, config.form, PUBLISHED_FORM)

    def forward(self, state: TeacherState | None, inputs: TeacherInputs) -> tuple[TeacherState, TeacherOutputs]:
        """One frame; state None starts anew and is not modified. Raises ValueError when the state holds another
        number of streams."""
        batch, num_agents = inputs.ids.shape
        if state is not None and len(state.timestamp) != batch:
            raise ValueError(f"state holds {len(state.timestamp)} streams, inputs {batch}; start from state None")
        step = None if state is None else frame_step(state, inputs, self.config.max_time_gap)
        queries = self.ego_queries().expand(batch, -1, -1)
        feature = self.agent_encoder(inputs.boxes, inputs.offsets, inputs.valid)
        position = self.agent_encoder.position(inputs.boxes) * inputs.moving[..., None]
        window = self._window(None if state is None else state.queue, step, inputs, feature, queries)
        ego_box = window.ego_box[:, -1]
        tokens = join_tokens((feature, position), (queries, self.anchor_encoder(ego_box)))
        decoded, ego_blocks = self._decode(tokens, self._context(window, inputs), num_agents)
        refined = self._refine(decoded, tokens[1], inputs)
        present = (inputs.ids >= 0).to(feature.dtype)
        status = refined[4].mean(dim=1)
        queue = instance_queue.store(window, inputs.ids, present, decoded[:, num_agents:], status)
        outputs = TeacherOutputs(
            *refined, queries, feature, position, ego_blocks, window.period, window.ego_period, ego_box[:, 0]
        )
        return TeacherState(inputs.timestamp, inputs.world_from_lidar, queue), outputs

    def _window(
        self,
        queue: QueueState | None,
        step: FrameStep | None,
        inputs: TeacherInputs,
        feature: Tensor,
        queries: Tensor,
    ) -> QueueWindow:
        """Agents by instance id, the ego by its constant box."""
        motion = self.config.motion
        ego_box = self.instance_queue(queue, step, len(queries), motion.measured_speed)
        ego_box = ego_box[:, None].expand(-1, queries.shape[1], -1)
        boxes = undecoded(inputs.boxes)
        if self.config.log_sizes:
            sizes = boxes[..., 3:6].clamp(min=1e-2).log()
            boxes = torch.cat((boxes[..., :3], sizes, boxes[..., 6:]), dim=-1)
        return instance_queue.advance(
            queue,
            step,
            inputs.ids,
            feature,
            boxes,
            queries,
            ego_box,
            motion.queue_length,
            motion.tracking_threshold,
        )

    def _context(self, window: QueueWindow, inputs: TeacherInputs) -> _Context:
        encode = self.anchor_encoder
        history = (
            instance_queue.temporal_keys(window.agent_feature, window.ego_feature),
            instance_queue.temporal_keys(encode(window.agent_box), encode(window.ego_box)),
        )
        ego = torch.zeros(window.ego_box.shape[0], window.ego_box.shape[2], dtype=torch.bool, device=inputs.ids.device)
        ignored_tokens = torch.cat((~inputs.moving, ego), dim=1)
        polylines, ignored_polylines = self._polylines(inputs)
        return _Context(history, instance_queue.ignored_entries(window), ignored_tokens, polylines, ignored_polylines)

    def _polylines(self, inputs: TeacherInputs) -> tuple[Tokens, Tensor]:
        """Keys of the map attention: an empty one that is always there, and the polylines if the teacher sees them.

        As published it attends to nothing but empty ones (quirk Q1).
        """
        batch, width = inputs.ids.shape[0], self.config.embed_dim
        empty = inputs.boxes.new_zeros(batch, 1, width)
        nobody = torch.zeros(batch, 1, dtype=torch.bool, device=empty.device)
        if not self.config.see_map:
            return (empty, empty), nobody
        present = inputs.line_present
        feature = self.map_encoder(inputs.lines, inputs.line_labels, present)
        position = self.map_encoder.position(inputs.lines)
        tokens = join_tokens((empty, empty), (feature, position))
        return tokens, torch.cat((nobody, ~present), dim=1)

    def _decode(self, tokens: Tokens, context: _Context, num_agents: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All blocks; also returns the ego features after the feed-forward layer of each."""
        feature, position = tokens
        shape = feature.shape
        ego_blocks = []
        for name, layer in zip(self.operations, self.layers, strict=False):
            if name == "temp_gnn":
                assert isinstance(layer, ResidualAttention)
                query = (feature.reshape(-1, 1, shape[-1]), position.reshape(-1, 1, shape[-1]))
                feature = decoupled_attention(
                    layer, self.fc_before, self.fc_after, query, context.history, context.ignored_history
                ).view(shape)
            elif name == "gnn":
                # Values are the doubled tokens themselves: they do not go through fc_before.
                doubled = torch.cat((feature, position), dim=-1)
                feature = self.fc_after(layer(doubled, doubled, doubled, doubled, context.ignored_tokens))
            elif name == "cross_gnn":
                key, key_position = context.polylines
                feature = layer(feature, feature + position, key + key_position, key, context.ignored_polylines)
            else:
                feature = layer(feature)
            if name == "ffn":
                ego_blocks.append(feature[:, num_agents:])
        return feature, tuple(ego_blocks)

    def _refine(
        self, feature: Tensor, position: Tensor, inputs: TeacherInputs
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Motion logits and offsets, plan logits and offsets, status, plan query."""
        refinement = self.layers[-1]
        assert isinstance(refinement, MotionRefinement)
        num_agents = inputs.ids.shape[1]
        positioned = feature + position
        mode_code = self.motion_mode_code(inputs.labels, inputs.boxes[..., 6])
        motion_logits, motion_offsets = refinement.motion(mode_code + positioned[:, :num_agents, None])
        ego = positioned[:, num_agents:]
        plan_query = self.plan_mode_code() + ego
        plan_logits, plan_offsets = refinement.plan(plan_query)
        if self.config.flavour is Flavour.LABEL:
            ego = ego.mean(dim=1, keepdim=True)
        return (
            motion_logits,
            motion_offsets,
            plan_logits,
            plan_offsets,
            refinement.plan_status_branch(ego),
            plan_query,
        )
