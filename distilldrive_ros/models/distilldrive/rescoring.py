"""Selection of a plan: modes that run into a predicted agent lose against modes that do not (spec 6.6).

Two flavours. `parity` repeats the reference to the last quirk: the ego box is not centred on the car (Q5) and boxes
that overlap crosswise are missed (Q18). `corrected` shifts every ego box by 0.5 m along its heading and tests
exactly, with the separating axes of both boxes. Everything is in the LiDAR frame, metres and radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.outputs import StudentOutputs

SCORE_THRESHOLD = 0.5
PENALTY = 999.0
_EGO_LENGTH, _EGO_WIDTH = 4.08 * 1.1, 1.73 * 1.1
_STATIC_DISTANCE = 0.5
_EGO_SHIFT = 0.5
_YAW_ROW = 6
_FORWARD = math.pi / 2


class RescoreMode(Enum):
    """`PARITY`: as the reference; `CORRECTED`: ego box in its place, exact overlap; `OFF`: leave the logits alone."""

    PARITY = "parity"
    CORRECTED = "corrected"
    OFF = "off"


@dataclass(frozen=True)
class RescoreResult:
    """Logits [modes] after the penalty, colliding modes [modes] bool (before the all-collide rule), best mode."""

    logits: Tensor
    collides: Tensor
    mode: int


def rescore_plan(
    plan_logits: Tensor,
    plan_offsets: Tensor,
    motion_scores: Tensor,
    motion_offsets: Tensor,
    boxes: Tensor,
    confidence: Tensor,
    mode: RescoreMode,
) -> RescoreResult:
    """Rescore the modes of one command.

    plan_logits [M], plan_offsets [M, S, 2] per step; motion_scores [N, A] (any monotone score), motion_offsets
    [N, A, >= S, 2] per step; boxes [N, 11] undecoded; confidence [N] = highest class probability.
    """
    ego = _ego_boxes(plan_offsets)
    agents = _agent_boxes(boxes, motion_offsets, motion_scores.argmax(dim=-1), plan_offsets.shape[1])
    enabled = confidence >= SCORE_THRESHOLD
    if mode is RescoreMode.OFF:
        collides = torch.zeros_like(plan_logits, dtype=torch.bool)
    elif mode is RescoreMode.PARITY:
        collides = _corner_collisions(ego, agents, enabled)
    else:
        collides = _separating_axis_collisions(_shift_forward(ego), agents, enabled)
    penalty = torch.zeros_like(plan_logits) if bool(collides.all()) else collides * -PENALTY
    logits = plan_logits + penalty
    return RescoreResult(logits, collides, int(logits.argmax()))


def rescore_command(
    outputs: StudentOutputs, command: int, ego_modes: int, mode: RescoreMode, row: int = 0
) -> RescoreResult:
    """Rescore the branch of one command (index right, left, straight) of stream `row`."""
    motion, detection = outputs.motion, outputs.detection
    branch = slice(command * ego_modes, (command + 1) * ego_modes)
    return rescore_plan(
        motion.plan_logits[row, branch],
        motion.plan_offsets[row, branch],
        motion.motion_logits[row],
        motion.motion_offsets[row],
        detection.anchors[-1][row],
        detection.logits[-1][row].max(dim=-1).values.sigmoid(),
        mode,
    )


def bev_corners(boxes: Tensor) -> Tensor:
    """Ground corners [..., 4, 2], clockwise from the rear right, of boxes [..., 5] = x, y, length, width, yaw."""
    x, y, length, width, yaw = boxes.unbind(dim=-1)
    along = torch.stack((-length, -length, length, length), dim=-1) / 2
    across = torch.stack((-width, width, width, -width), dim=-1) / 2
    cosine, sine = yaw.cos()[..., None], yaw.sin()[..., None]
    corner_x = x[..., None] + cosine * along - sine * across
    corner_y = y[..., None] + sine * along + cosine * across
    return torch.stack((corner_x, corner_y), dim=-1)


def trajectory_yaw(points: Tensor, start_yaw: Tensor) -> Tensor:
    """Heading [..., S] along points [..., S + 1, 2] that start with the current position.

    Central differences inside, a backward difference at the end; `start_yaw` [...] throughout where start and end
    are less than 0.5 m apart.
    """
    backward = points[..., -1:, :] - points[..., -2:-1, :]
    difference = torch.cat((points[..., 2:, :] - points[..., :-2, :], backward), dim=-2)
    yaw = torch.atan2(difference[..., 1], difference[..., 0])
    static = (points[..., -1, :] - points[..., 0, :]).norm(dim=-1) < _STATIC_DISTANCE
    return torch.where(static[..., None], start_yaw[..., None], yaw)


def _ego_boxes(plan_offsets: Tensor) -> Tensor:
    """[M, S, 2] -> [M, S, 5]."""
    points = torch.cat((torch.zeros_like(plan_offsets[:, :1]), plan_offsets.cumsum(dim=1)), dim=1)
    yaw = trajectory_yaw(points, plan_offsets.new_full(points.shape[:1], _FORWARD))
    size = plan_offsets.new_tensor([_EGO_LENGTH, _EGO_WIDTH]).expand(*yaw.shape, 2)
    return torch.cat((points[:, 1:], size, yaw[..., None]), dim=-1)


def _agent_boxes(boxes: Tensor, motion_offsets: Tensor, best: Tensor, steps: int) -> Tensor:
    """Best mode of every agent -> [N, S, 5]."""
    offsets = motion_offsets[torch.arange(len(best), device=best.device), best, :steps]
    centre = boxes[:, None, :2]
    points = torch.cat((centre, centre + offsets.cumsum(dim=1)), dim=1)
    yaw = trajectory_yaw(points, torch.atan2(boxes[:, 6], boxes[:, 7]))
    size = boxes[:, None, 3:5].exp().expand(-1, steps, -1)
    return torch.cat((points[:, 1:], size, yaw[..., None]), dim=-1)


def _corner_collisions(ego: Tensor, agents: Tensor, enabled: Tensor) -> Tensor:
    """Reference test [M]: a corner of one box inside the other, borders included."""
    hits = _corners_touch(ego[:, None], agents[None]) & enabled[None, :, None]
    if bool(enabled[0]) and ego.shape[1] > 1 and ego.shape[0] * ego.shape[1] > _YAW_ROW:
        hits[0, 0, :2] = _corners_touch(_misplaced_rows(ego), agents[0, :2])
    return hits.flatten(1).any(dim=1)


def _misplaced_rows(ego: Tensor) -> Tensor:
    """Q5: the two rows the reference shifts, ego mode 0 at the first two steps against agent 0. [M, S, 5] -> [2, 5].

    The shift indexes rows of the flattened (agent, ego mode, step) list where columns are meant; row 6 is the
    seventh.
    """
    rows = ego.flatten(0, 1)
    yaw_row = rows[_YAW_ROW]
    return torch.stack((rows[0] + _EGO_SHIFT * yaw_row.cos(), rows[1] + _EGO_SHIFT * yaw_row.sin()))


def _corners_touch(first: Tensor, second: Tensor) -> Tensor:
    """Boxes [..., 5] each, broadcast -> [...] bool."""
    first, second = torch.broadcast_tensors(first, second)
    return _contains(first, bev_corners(second)) | _contains(second, bev_corners(first))


def _contains(boxes: Tensor, points: Tensor) -> Tensor:
    """Whether any of points [..., 4, 2] lies in its box [..., 5]."""
    offset = points - boxes[..., None, :2]
    cosine, sine = boxes[..., 4, None].cos(), boxes[..., 4, None].sin()
    along = cosine * offset[..., 0] + sine * offset[..., 1]
    across = cosine * offset[..., 1] - sine * offset[..., 0]
    inside = (along.abs() <= boxes[..., 2, None] / 2) & (across.abs() <= boxes[..., 3, None] / 2)
    return inside.any(dim=-1)


def _shift_forward(ego: Tensor) -> Tensor:
    """Ego boxes [M, S, 5] with their centre 0.5 m ahead of the trajectory point."""
    yaw = ego[..., 4]
    shift = _EGO_SHIFT * torch.stack((yaw.cos(), yaw.sin()), dim=-1)
    return torch.cat((ego[..., :2] + shift, ego[..., 2:]), dim=-1)


def _separating_axis_collisions(ego: Tensor, agents: Tensor, enabled: Tensor) -> Tensor:
    """Exact test [M]: boxes overlap unless one of their four edge directions separates them."""
    first, second = torch.broadcast_tensors(ego[:, None], agents[None])
    corners = (bev_corners(first), bev_corners(second))
    overlap = enabled[None, :, None].expand(first.shape[:-1])
    for box in (first, second):
        for angle in (box[..., 4], box[..., 4] + math.pi / 2):
            axis = torch.stack((angle.cos(), angle.sin()), dim=-1)[..., None, :]
            low_high = [((c * axis).sum(-1).amin(-1), (c * axis).sum(-1).amax(-1)) for c in corners]
            overlap = overlap & (low_high[0][0] <= low_high[1][1]) & (low_high[1][0] <= low_high[0][1])
    return overlap.flatten(1).any(dim=1)
