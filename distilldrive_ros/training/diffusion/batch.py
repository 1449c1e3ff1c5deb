"""What DiffusionDrive is trained with: sensor tensors and targets in the rear-axle frame (its spec, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.network import DiffusionInputs
from distilldrive_ros.models.distilldrive.state import map_tensors
from distilldrive_ros.training.batch import TrainingBatch, join


@dataclass(frozen=True)
class TeacherView:
    """B frames as the teacher sees them.

    frames: annotations of the last key frames, the oldest first, the last one that of the batch itself. A stream that
    has fewer before it repeats its first, and restarts there. base_from_network [B, 4, 4] float64: where the teacher's
    frame (x right, y forward, at the LiDAR) lies in the vehicle's.
    """

    frames: tuple[TrainingBatch, ...]
    base_from_network: Tensor


@dataclass(frozen=True)
class DiffusionBatch:
    """B independent frames; x forward, y left from the rear axle, metres, radians.

    tokens: name of every frame. camera [B, 3, H, W], lidar [B, 1, L, L], status [B, 8]: see `DiffusionInputs`.
    trajectory [B, P, 3] float32: x, y, heading of the drive, step by step. known [B] bool: whether the drive is known
    to its last step. agents [B, A, 5] float32: x, y, heading, length, width of the nearest vehicles, zero where
    `agent_present` [B, A] bool is False. bev [B, L / 2, L] int64: class of every cell ahead (0 to 6; row = x, column =
    y from the right). lesson: what a teacher sees of it, None where none is at work.
    """

    tokens: tuple[str, ...]
    camera: Tensor
    lidar: Tensor
    status: Tensor
    trajectory: Tensor
    known: Tensor
    agents: Tensor
    agent_present: Tensor
    bev: Tensor
    lesson: TeacherView | None = None

    @property
    def size(self) -> int:
        """Number of frames B."""
        return len(self.tokens)

    def to(self, device: torch.device | str) -> DiffusionBatch:
        """Copy on another device."""
        return map_tensors(self, lambda tensor: tensor.to(device))

    def inputs(self) -> DiffusionInputs:
        """What the network sees of it."""
        return DiffusionInputs(self.camera, self.lidar, self.status)


def join_frames(batches: Sequence[DiffusionBatch]) -> DiffusionBatch:
    """Frames of several batches, in order. Raises ValueError: there is none, or only some have a lesson."""
    if not batches:
        raise ValueError("there is no batch to join")
    lessons = [batch.lesson for batch in batches if batch.lesson is not None]
    if len(lessons) not in (0, len(batches)):
        raise ValueError(f"{len(lessons)} of {len(batches)} batches have a lesson; all of them must or none")
    names = [item.name for item in fields(DiffusionBatch) if item.name not in ("tokens", "lesson")]
    tensors = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    tokens = tuple(token for batch in batches for token in batch.tokens)
    return DiffusionBatch(tokens, **tensors, lesson=_join_lessons(lessons) if lessons else None)


def _join_lessons(lessons: Sequence[TeacherView]) -> TeacherView:
    frames = tuple(join(parts) for parts in zip(*(lesson.frames for lesson in lessons), strict=True))
    return TeacherView(frames, torch.cat([lesson.base_from_network for lesson in lessons]))
