"""Inputs, outputs and memory of the teacher as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.state import QueueState, map_tensors


@dataclass(frozen=True)
class TeacherInputs:
    """Annotations of one frame of B streams, padded to the most agents A and polylines P among them.

    timestamp [B] float64 s; world_from_lidar [B, 4, 4] float64. boxes [B, A, 9]: x, y, z, length, width, height (m),
    yaw (rad), vx, vy (m/s) in the LiDAR frame; labels [B, A]; ids [B, A], -1 for padding; offsets [B, A, steps, 2] m
    per step; valid [B, A, steps] 1 or 0. lines [B, P, points, 2] m; line_labels [B, P]; line_present [B, P] bool.
    """

    timestamp: Tensor
    world_from_lidar: Tensor
    boxes: Tensor
    labels: Tensor
    ids: Tensor
    offsets: Tensor
    valid: Tensor
    lines: Tensor
    line_labels: Tensor
    line_present: Tensor

    @property
    def moving(self) -> Tensor:
        """Agents with a known future, [B, A] bool; all others the teacher ignores."""
        return self.valid.any(dim=-1)


@dataclass(frozen=True)
class TeacherState:
    """What the teacher remembers from frame to frame; see StudentState."""

    timestamp: Tensor
    world_from_lidar: Tensor
    queue: QueueState

    def to(self, device: torch.device | str) -> TeacherState:
        """Copy on another device."""
        return map_tensors(self, lambda tensor: tensor.to(device))


@dataclass(frozen=True)
class TeacherOutputs:
    """Raw results, offsets in metres per step in the LiDAR frame, K ego modes command-major.

    motion_logits [B, A, modes], motion_offsets [B, A, modes, steps, 2]; plan_logits [B, K], plan_offsets [B, K, ego
    steps, 2]; status [B, 1, 10] for all modes together or [B, K, 10] for each. plan_query, ego_queries [B, K, D];
    agent_feature, agent_position [B, A, D] before the decoder; ego_blocks: ego features after the feed-forward layer
    of each block. period [B, A], ego_period [B]: valid entries of the queue; ego_box [B, 11], undecoded.
    """

    motion_logits: Tensor
    motion_offsets: Tensor
    plan_logits: Tensor
    plan_offsets: Tensor
    status: Tensor
    plan_query: Tensor
    ego_queries: Tensor
    agent_feature: Tensor
    agent_position: Tensor
    ego_blocks: tuple[Tensor, ...]
    period: Tensor
    ego_period: Tensor
    ego_box: Tensor
