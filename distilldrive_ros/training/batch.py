"""What a training step is fed with: annotated frames of B streams as tensors, without a data set behind them.

Frames and units are those of the student network (spec 2.1): everything lies in the LIDAR_TOP frame of its own
frame (x right, y forward, z up), metres, radians, yaw from +x counter-clockwise. A data pipeline makes batches of one
stream and `join` puts them together; nothing in here depends on how the annotations were stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.outputs import Perceived, StudentInputs
from distilldrive_ros.models.distilldrive.state import join_tensors, map_tensors

DEPTH_STRIDES = (4, 8, 16)
"""Pyramid levels with depth targets, as pixels of the network's image per cell (spec 2.5)."""

NO_DEPTH = -1.0
"""Depth of a cell that no LiDAR point fell into."""

UNUSED_ORDERING = 1e5
"""Coordinate that fills the orderings which an open polyline does not have (spec 5.3)."""


@dataclass(frozen=True)
class AgentTargets:
    """Annotated road users of one frame of one stream, A >= 0 of them, in any order.

    boxes [A, 9] float32: x, y, z, length, width, height (m, not logged), yaw (rad, [-pi, pi)), vx, vy (m/s, 0 where
    unknown). labels [A] int64, index into `scene.objects.CLASS_NAMES`. instance_ids [A] int64, >= 0, the same number
    for the same road user in all frames of a stream. offsets [A, 12, 2] float32: displacement per step of 0.5 s, the
    first from the box centre (m). valid [A, 12] float32: 1 where a step is annotated, else 0 (and the offset 0).
    """

    boxes: Tensor
    labels: Tensor
    instance_ids: Tensor
    offsets: Tensor
    valid: Tensor


@dataclass(frozen=True)
class MapTargets:
    """Annotated polylines of one frame of one stream, P >= 0 of them.

    orderings [P, 2 (S - 1), S, 2] float32: the same S points (m) in every order that draws the same line (spec 5.3);
    an open line has two orders, the rest is filled with `UNUSED_ORDERING`. labels [P] int64: 0 crossing, 1 divider,
    2 boundary.
    """

    orderings: Tensor
    labels: Tensor


@dataclass(frozen=True)
class EgoTargets:
    """What the vehicle does next, and how it moves, for B streams.

    offsets [B, 6, 2] float32: displacement of the LiDAR origin per step of 0.5 s (m). valid [B, 6] float32: 1 where
    the drive goes on that long. command [B] int64: `scene.command.Command`, 0 right, 1 left, 2 straight. status
    [B, 10] float32: acceleration xyz (m/s^2), rotation rate xyz (rad/s), velocity xyz (m/s, index 6 forward), steering
    angle (rad) in the vehicle's frame; all zero where unknown.
    """

    offsets: Tensor
    valid: Tensor
    command: Tensor
    status: Tensor


@dataclass(frozen=True)
class CameraBatch:
    """Images of B streams with C cameras, after resizing, cropping and augmentation.

    images [B, C, 3, H, W] float32, normalised RGB. projection [B, C, 4, 4] float32: LiDAR (x, y, z, 1) to (u d, v d,
    d, 1) in pixels of that image, augmentation and the ego motion between the two stamps included. image_size
    [B, C, 2] float32: width, height. focal [B, C] float32: focal length in pixels of that image. depth: one
    [B, C, H / s, W / s] float32 for each s of `DEPTH_STRIDES`, metres, `NO_DEPTH` where unknown.
    """

    images: Tensor
    projection: Tensor
    image_size: Tensor
    focal: Tensor
    depth: tuple[Tensor, ...]


@dataclass(frozen=True)
class TrainingBatch:
    """One frame of each of B streams.

    tokens: name of every frame, for messages. timestamp [B] float64 s. world_from_lidar [B, 4, 4] float64. restart
    [B] bool: this frame does not follow the one that its stream held in the batch before (the first frame of a
    sequence), so no memory may reach it. agents, maps: one entry per stream. cameras: None where only annotations are
    needed (the teacher). perceived: results of a perception that is not trained any more, in place of cameras.
    """

    tokens: tuple[str, ...]
    timestamp: Tensor
    world_from_lidar: Tensor
    restart: Tensor
    agents: tuple[AgentTargets, ...]
    maps: tuple[MapTargets, ...]
    ego: EgoTargets
    cameras: CameraBatch | None
    perceived: Perceived | None = None

    @property
    def size(self) -> int:
        """Number of streams B."""
        return len(self.tokens)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.timestamp.device

    def to(self, device: torch.device | str) -> TrainingBatch:
        """Copy on another device."""
        return map_tensors(self, lambda tensor: tensor.to(device))

    def student_inputs(self) -> StudentInputs:
        """What the student network sees of it. Raises ValueError without cameras."""
        if self.cameras is None:
            raise ValueError("the batch carries no camera images; only the teacher trains without them")
        cameras = self.cameras
        return StudentInputs(
            cameras.images, cameras.projection, cameras.image_size, self.timestamp, self.world_from_lidar
        )


def join(batches: Sequence[TrainingBatch]) -> TrainingBatch:
    """Streams of several batches side by side, in order.

    Raises ValueError: nothing to join, or only some of the batches have cameras, or perceived instances.
    """
    if not batches:
        raise ValueError("there is no batch to join")
    cameras = [batch.cameras for batch in batches if batch.cameras is not None]
    perceived = [batch.perceived for batch in batches if batch.perceived is not None]
    for count, what in ((len(cameras), "cameras"), (len(perceived), "perceived instances")):
        if count not in (0, len(batches)):
            raise ValueError(f"{count} of {len(batches)} batches have {what}; all of them must or none")
    return TrainingBatch(
        tokens=tuple(token for batch in batches for token in batch.tokens),
        timestamp=torch.cat([batch.timestamp for batch in batches]),
        world_from_lidar=torch.cat([batch.world_from_lidar for batch in batches]),
        restart=torch.cat([batch.restart for batch in batches]),
        agents=tuple(targets for batch in batches for targets in batch.agents),
        maps=tuple(targets for batch in batches for targets in batch.maps),
        ego=join_tensors([batch.ego for batch in batches]),
        cameras=join_tensors(cameras) if cameras else None,
        perceived=join_tensors(perceived) if perceived else None,
    )


def without_cameras(batch: TrainingBatch) -> TrainingBatch:
    """The same annotations without images."""
    return replace(batch, cameras=None)
