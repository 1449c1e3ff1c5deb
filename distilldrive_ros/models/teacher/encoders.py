"""What the teacher sees: annotated futures and polylines as features (spec section 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.anchor_encoder import BoxEncoder
from distilldrive_ros.models.distilldrive.config import NUM_MAP_CLASSES
from distilldrive_ros.models.distilldrive.mlp import linear_relu_norm
from distilldrive_ros.models.distilldrive.position_code import sine_position_code
from distilldrive_ros.models.teacher.config import TeacherConfig

_STEP_FEATURES = 9
_SEGMENT_FEATURES = 6
_OFFSET_UNIT = 0.1
_TINY = 1e-6
_TIME_PERIOD = 10_000.0
_POINT_WIDTH = 128
_RANGE = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)


class LightBoxEncoder(BoxEncoder):
    """Box encoder with (cos, sin) in this order and a planar velocity."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.vel_fc = nn.Sequential(*linear_relu_norm(2, width // 4, 1, 4))

    def forward(self, boxes: Tensor) -> Tensor:
        """Undecoded boxes [..., 11] -> [..., width]."""
        parts = (
            self.pos_fc(boxes[..., :3]),
            self.size_fc(boxes[..., 3:6]),
            self.yaw_fc(boxes[..., [7, 6]]),
            self.vel_fc(boxes[..., 8:10]),
        )
        return torch.cat(parts, dim=-1)


class _TimeCode(nn.Module):
    """Fixed sinusoidal code `pe` [1, steps, width] of the future steps."""

    pe: Tensor

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        rate = _TIME_PERIOD ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.arange(steps)[:, None] * rate
        code = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)
        self.register_buffer("pe", code.float()[None])


class _StepEncoder(nn.Module):
    """Transformer over the steps of one future; the wrapper gives its layers their official names."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            config.embed_dim, config.num_heads, config.encoder_hidden, dropout=0.1, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.encoder_layers, enable_nested_tensor=False)


class _UnusedRange(nn.Module):
    """Holds a constant of the official state dict that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.pc_range = nn.Parameter(torch.tensor(_RANGE), requires_grad=False)


class AgentEncoder(_UnusedRange):
    """Feature of an agent from its annotated future: what a student could never know."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.width = width
        self.agent_proj = nn.Sequential(nn.Linear(_STEP_FEATURES, width), nn.ReLU(), nn.Linear(width, width))
        self.agent_time_embed = _TimeCode(config.motion.agent_steps, width)
        self.agent_feat_embed = _StepEncoder(config)
        self.agent_pos_embed = _position_mlp(width)

    def forward(self, boxes: Tensor, offsets: Tensor, valid: Tensor) -> Tensor:
        """boxes [B, A, 9], offsets [B, A, steps, 2], valid [B, A, steps] -> [B, A, D].

        Zero for agents without a valid step.
        """
        known = valid.any(dim=-1)
        feature = boxes.new_zeros(*known.shape, self.width)
        if not bool(known.any()):
            return feature
        mask = valid[known]
        steps = self.agent_proj(_step_features(boxes[known], offsets[known], mask)) + self.agent_time_embed.pe
        encoded = self.agent_feat_embed.encoder(steps, src_key_padding_mask=mask == 0)[:, 0]
        return feature.masked_scatter(known[..., None], encoded.to(feature.dtype))

    def position(self, boxes: Tensor) -> Tensor:
        """Code [B, A, D] of the centres of boxes [B, A, 9]."""
        return self.agent_pos_embed(sine_position_code(boxes[..., :2], self.width))


def _step_features(boxes: Tensor, offsets: Tensor, valid: Tensor) -> Tensor:
    """[N, steps, 9]: displacement, velocity-like displacement, direction, length and width, validity."""
    direction = offsets / (offsets.norm(dim=-1, keepdim=True) + _TINY)
    moves = torch.cat((offsets, offsets / _OFFSET_UNIT, direction), dim=-1) * valid[..., None]
    sizes = boxes[:, None, 3:5].expand(-1, offsets.shape[1], -1)
    return torch.cat((moves, sizes, valid[..., None]), dim=-1)


class _PointNet(nn.Module):
    """Two shared MLPs with a maximum after each (spec section 7)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_mlp = _shared_mlp(_SEGMENT_FEATURES, _POINT_WIDTH, width)
        self.second_mlp = _shared_mlp(2 * width, width, width)

    def forward(self, points: Tensor) -> Tensor:
        """points [N, S, 6] -> [N, width]."""
        lines, segments, _ = points.shape
        first = self.first_mlp(points.flatten(0, 1)).view(lines, segments, -1)
        pooled = first.amax(dim=1, keepdim=True).expand(-1, segments, -1)
        second = self.second_mlp(torch.cat((first, pooled), dim=-1).flatten(0, 1))
        return second.view(lines, segments, -1).amax(dim=1)


class MapEncoder(_UnusedRange):
    """Feature of a polyline from its segments and its class."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.width = config.embed_dim
        self.anchor_point = config.map_points // 2
        self.norm_offset = 0.0 if config.unit_directions else 1.0
        self.polygon_encoder = _PointNet(config.embed_dim)
        self.laneline_type_emb = nn.Embedding(NUM_MAP_CLASSES, config.embed_dim)
        self.map_pos_embed = _position_mlp(config.embed_dim)

    def forward(self, lines: Tensor, labels: Tensor, present: Tensor) -> Tensor:
        """lines [B, P, points, 2] m, labels [B, P], present [B, P] bool -> [B, P, D], zero where nothing is present.

        As published the segment direction is divided by its length plus one (quirk Q7).
        """
        feature = lines.new_zeros(*present.shape, self.width)
        if not bool(present.any()):
            return feature
        points = lines[present]
        segment = points[:, 1:] - points[:, :-1]
        start = points[:, :-1] - points[:, self.anchor_point, None]
        direction = segment / (segment.norm(dim=-1, keepdim=True) + self.norm_offset + _TINY)
        encoded = self.polygon_encoder(torch.cat((start, segment, direction), dim=-1))
        encoded = encoded + self.laneline_type_emb(labels[present])
        return feature.masked_scatter(present[..., None], encoded.to(feature.dtype))

    def position(self, lines: Tensor) -> Tensor:
        """Code [B, P, D] of the middle points of lines [B, P, points, 2]."""
        return self.map_pos_embed(sine_position_code(lines[:, :, self.anchor_point], self.width))


def _position_mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def _shared_mlp(inputs: int, hidden: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, width))
