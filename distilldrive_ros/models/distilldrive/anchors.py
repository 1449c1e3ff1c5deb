"""Procedural anchors for a network without a checkpoint: plain geometry in place of clusters of a data set (spec
6.1).

LiDAR frame: x right, y forward. A checkpoint overwrites all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import BOX_SIZE, NUM_COMMANDS, DistillDriveConfig, MotionConfig
from distilldrive_ros.scene.objects import CLASS_NAMES

_DETECTION_RADIUS = 55.0
_DETECTION_HEIGHT = -1.0
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
_POLYLINE_HALF_LENGTH = 4.0
_AGENT_SPEEDS = {
    "car": 8.0,
    "truck": 7.0,
    "construction_vehicle": 2.0,
    "bus": 7.0,
    "trailer": 6.0,
    "barrier": 0.1,
    "motorcycle": 7.0,
    "bicycle": 4.0,
    "pedestrian": 1.3,
    "traffic_cone": 0.1,
}
_AGENT_MODES = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.0), (0.7, 0.9), (0.7, -0.9))
"""(speed relative to the class, total turn in radians, left positive); repeated with less speed beyond six."""

_EGO_TURN = (-math.pi / 3, math.pi / 3, 0.0)
"""Total turn over the plan for right, left, straight, where speed and steering allow it."""

_EGO_SPEEDS = (1.0, 10.0)
_MIN_RADIUS = 6.0
_MAX_LATERAL_ACCELERATION = 3.0


@dataclass(frozen=True)
class AnchorSet:
    """Where a network starts from (spec 6.1), float32.

    detection [N, 11] undecoded boxes; map [M, 2 S] polylines; motion [classes, modes, steps, 2] positions in the
    agent's frame, x along its heading; plan [commands, modes, steps, 2] positions of the LiDAR.
    """

    detection: Tensor
    map: Tensor
    motion: Tensor
    plan: Tensor


def procedural_anchors(config: DistillDriveConfig) -> AnchorSet:
    """Plain geometry."""
    return AnchorSet(
        detection_anchors(config), map_anchors(config), motion_anchors(config.motion), plan_anchors(config.motion)
    )


def detection_anchors(config: DistillDriveConfig) -> Tensor:
    """Boxes [N, 11] on a sunflower pattern within 55 m: equal density, one size, heading along +y, standing still."""
    count = config.detection.num_anchors
    index = torch.arange(count, dtype=torch.float64)
    radius = _DETECTION_RADIUS * torch.sqrt((index + 0.5) / count)
    angle = index * _GOLDEN_ANGLE
    boxes = torch.zeros(count, BOX_SIZE, dtype=torch.float64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2] = radius * angle.cos(), radius * angle.sin(), _DETECTION_HEIGHT
    boxes[:, 3:7] = 1.0
    return boxes.float()


def map_anchors(config: DistillDriveConfig) -> Tensor:
    """Polylines [N, 2 S]: 8 m segments along y, centred on a grid that fills the map extent."""
    settings = config.map
    columns = max(1, round(math.sqrt(settings.num_anchors * settings.extent_x / settings.extent_y)))
    rows = math.ceil(settings.num_anchors / columns)
    index = torch.arange(settings.num_anchors)
    x = ((index % columns + 0.5) / columns * 2 - 1) * settings.extent_x
    y = ((index // columns + 0.5) / rows * 2 - 1) * settings.extent_y
    along = torch.linspace(-_POLYLINE_HALF_LENGTH, _POLYLINE_HALF_LENGTH, settings.num_points)
    points = torch.stack((x[:, None].expand(-1, settings.num_points), y[:, None] + along), dim=-1)
    return points.flatten(1)


def motion_anchors(motion: MotionConfig) -> Tensor:
    """Positions [classes, modes, steps, 2] in the agent's frame, x along its heading: stop, straight, left, right."""
    anchors = []
    for name in CLASS_NAMES:
        for mode in range(motion.agent_modes):
            factor, turn = _AGENT_MODES[mode % len(_AGENT_MODES)]
            speed = _AGENT_SPEEDS[name] * factor * 0.5 ** (mode // len(_AGENT_MODES))
            anchors.append(_arc(speed, turn, motion.agent_steps, motion.step_seconds))
    return torch.stack(anchors).view(len(CLASS_NAMES), motion.agent_modes, motion.agent_steps, 2)


def plan_anchors(motion: MotionConfig) -> Tensor:
    """Ego positions [commands, modes, steps, 2] in the LiDAR frame: per command drivable arcs of several speeds."""
    duration = motion.ego_steps * motion.step_seconds
    arcs = []
    for wanted in _EGO_TURN:
        for speed in torch.linspace(*_EGO_SPEEDS, motion.ego_modes).tolist():
            limit = duration * min(speed / _MIN_RADIUS, _MAX_LATERAL_ACCELERATION / speed)
            turn = math.copysign(min(abs(wanted), limit), wanted)
            arcs.append(_arc(speed, turn, motion.ego_steps, motion.step_seconds))
    x, y = torch.stack(arcs).unbind(dim=-1)
    forward_is_y = torch.stack((-y, x), dim=-1)
    return forward_is_y.view(NUM_COMMANDS, motion.ego_modes, motion.ego_steps, 2)


def step_deltas(positions: Tensor) -> Tensor:
    """Positions [..., steps, 2] -> displacement per step; the first step counts from the origin."""
    return torch.cat((positions[..., :1, :], positions[..., 1:, :] - positions[..., :-1, :]), dim=-2)


def _arc(speed: float, turn: float, steps: int, step_seconds: float) -> Tensor:
    """Positions [steps, 2] at constant speed and yaw rate, starting along +x; `turn` is the total change of heading."""
    heading = turn * (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    delta = speed * step_seconds * torch.stack((heading.cos(), heading.sin()), dim=-1)
    return delta.cumsum(dim=0).float()
