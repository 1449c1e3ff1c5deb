"""What happened between two frames, and where anchors of the last one are now (spec 4.2, 5, 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Posed(Protocol):
    """Anything that knows when and where it was: timestamp [B] float64 s, world_from_lidar [B, 4, 4] float64."""

    @property
    def timestamp(self) -> Tensor: ...

    @property
    def world_from_lidar(self) -> Tensor: ...


@dataclass(frozen=True)
class FrameStep:
    """Step from the last frame to the current one.

    elapsed [B] float32 s; recent [B] bool: the gap is short enough for history to count; transform [B, 4, 4]
    float32: current LiDAR frame from the last one.
    """

    elapsed: Tensor
    recent: Tensor
    transform: Tensor


def frame_step(last: Posed, current: Posed, max_time_gap: float) -> FrameStep:
    """Step from one to the next. Differences are taken in float64 and only then rounded to float32."""
    elapsed = (current.timestamp - last.timestamp).float()
    transform = (_rigid_inverse(current.world_from_lidar) @ last.world_from_lidar).float()
    return FrameStep(elapsed, elapsed.abs() <= max_time_gap, transform)


def forward_speed(step: FrameStep) -> Tensor:
    """Mean speed [B], m/s, along the present y axis over the step; 0 where no time has passed."""
    gone = step.elapsed != 0
    elapsed = torch.where(gone, step.elapsed, torch.ones_like(step.elapsed))
    return torch.where(gone, -step.transform[:, 1, 3] / elapsed, 0.0)


def _rigid_inverse(pose: Tensor) -> Tensor:
    """Inverse of rigid transforms [B, 4, 4]: no general inverse, which makes a GPU wait and which exporters lack."""
    turned = pose[:, :3, :3].transpose(1, 2)
    top = torch.cat((turned, -turned @ pose[:, :3, 3:]), dim=2)
    return torch.cat((top, pose[:, 3:]), dim=1)


def refinement_interval(step: FrameStep | None, batch: int, default: float, device: torch.device) -> Tensor:
    """Time [B] in seconds that a predicted displacement stands for: the gap where history counts, else the default."""
    if step is None:
        return torch.full((batch,), default, device=device)
    usable = (step.elapsed != 0) & step.recent
    return torch.where(usable, step.elapsed, default)


def project_boxes(boxes: Tensor, transform: Tensor, elapsed: Tensor | None = None) -> Tensor:
    """Undecoded boxes [B, N, 11] through transform [B, 4, 4]; with `elapsed` [B] s they first move along their
    velocity.

    Sizes stay. Velocity and heading are rotated.
    """
    rotation, translation = transform[:, :3, :3], transform[:, :3, 3]
    velocity = boxes[..., 8:11]
    centre = boxes[..., :3]
    if elapsed is not None:
        centre = centre + velocity * elapsed[:, None, None]
    centre = centre @ rotation.transpose(1, 2) + translation[:, None]
    heading = boxes[..., 6:8].flip(-1) @ rotation[:, :2, :2].transpose(1, 2)
    velocity = velocity @ rotation.transpose(1, 2)
    return torch.cat((centre, boxes[..., 3:6], heading.flip(-1), velocity), dim=-1)


def project_polylines(polylines: Tensor, transform: Tensor) -> Tensor:
    """Polylines [B, N, 2 S] through the planar part of transform [B, 4, 4]."""
    points = polylines.unflatten(-1, (-1, 2))
    moved = points @ transform[:, None, :2, :2].transpose(2, 3) + transform[:, None, None, :2, 3]
    return moved.flatten(-2)
