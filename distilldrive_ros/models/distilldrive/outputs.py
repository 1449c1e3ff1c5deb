"""Inputs and raw outputs of the student network as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StudentInputs:
    """One synchronised set of images for B streams (spec 2.2).

    images [B, C, 3, H, W] float32, normalised RGB; projection [B, C, 4, 4] float32, LiDAR (x, y, z, 1) to (u d, v d,
    d, 1) in pixels of that image; image_size [B, C, 2] float32 (width, height); timestamp [B] float64 s;
    world_from_lidar [B, 4, 4] float64.
    """

    images: Tensor
    projection: Tensor
    image_size: Tensor
    timestamp: Tensor
    world_from_lidar: Tensor

    def to(self, device: torch.device | str) -> StudentInputs:
        """Copy on another device."""
        return StudentInputs(
            self.images.to(device),
            self.projection.to(device),
            self.image_size.to(device),
            self.timestamp.to(device),
            self.world_from_lidar.to(device),
        )


@dataclass(frozen=True)
class PerceptionOutputs:
    """Raw results of the detection or map head, one entry per decoder, undecoded, in the current LiDAR frame.

    logits[i] [B, N, classes]; anchors[i] [B, N, 11] boxes or [B, N, 2 S] polylines; quality[i] [B, N, 2]
    (centerness, yawness logits) or None for the map. `feature`, `embed` [B, N, D] belong to the last decoder.
    """

    logits: tuple[Tensor, ...]
    anchors: tuple[Tensor, ...]
    quality: tuple[Tensor | None, ...]
    feature: Tensor
    embed: Tensor


@dataclass(frozen=True)
class Perceived:
    """All that planning is told of what was seen: detections with their `ids` [B, N] int64 over time and `confidence`
    [B, N] as the bank has it, and map polylines. Only the last decoder's entries are looked at.
    """

    detection: PerceptionOutputs
    ids: Tensor
    confidence: Tensor
    map: PerceptionOutputs


@dataclass(frozen=True)
class GaussianLatent:
    """Mean and clamped log standard deviation of the generative module, [B, tokens, latent]."""

    mean: Tensor
    log_sigma: Tensor


@dataclass(frozen=True)
class MotionOutputs:
    """Raw results of the motion and planning head.

    motion_logits [B, N, modes], motion_offsets [B, N, modes, steps, 2]; plan_logits [B, K], plan_offsets [B, K, ego
    steps, 2] with K command-major; offsets are metres per step in the LiDAR frame. status [B, 10]. ego_queries,
    ego_feature, plan_query [B, K, D]; ego_blocks: ego features after the feed-forward layer of each block. period
    [B, N] and ego_period [B]: valid entries of the queue. present: latent of all N + K tokens.
    """

    motion_logits: Tensor
    motion_offsets: Tensor
    plan_logits: Tensor
    plan_offsets: Tensor
    status: Tensor
    plan_query: Tensor
    ego_queries: Tensor
    ego_feature: Tensor
    ego_blocks: tuple[Tensor, ...]
    present: GaussianLatent
    period: Tensor
    ego_period: Tensor


@dataclass(frozen=True)
class StudentOutputs:
    """Everything one step produces, before decoding. `ids` [B, N] int64 identifies the detection rows over time."""

    detection: PerceptionOutputs
    ids: Tensor
    map: PerceptionOutputs
    motion: MotionOutputs

    def is_finite(self) -> bool:
        """Whether the decoded results would be finite."""
        last = (
            self.detection.logits[-1],
            self.detection.anchors[-1],
            self.map.logits[-1],
            self.map.anchors[-1],
            self.motion.motion_logits,
            self.motion.motion_offsets,
            self.motion.plan_logits,
            self.motion.plan_offsets,
            self.motion.status,
        )
        return all(bool(torch.isfinite(tensor).all()) for tensor in last)
