"""From raw outputs to boxes, polylines and trajectories of one stream, still in the LiDAR frame (spec 4.7, 5, 6.5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs, StudentOutputs


@dataclass(frozen=True)
class DecodedObjects:
    """Boxes, highest score first.

    boxes [K, 10]: x, y, z, length, width, height (m), yaw (rad), vx, vy, vz (m/s). scores [K] include the centerness,
    class_scores [K] do not. labels, ids [K] int64. trajectories [K, modes, steps, 2] are positions (m),
    trajectory_scores [K, modes] in (0, 1).
    """

    boxes: Tensor
    scores: Tensor
    class_scores: Tensor
    labels: Tensor
    ids: Tensor
    trajectories: Tensor
    trajectory_scores: Tensor


@dataclass(frozen=True)
class DecodedMap:
    """Polylines, highest score first: vectors [K, S, 2] (m), scores [K], labels [K]; one polyline may occur twice."""

    vectors: Tensor
    scores: Tensor
    labels: Tensor


def decode_boxes(boxes: Tensor) -> Tensor:
    """Undecoded boxes [..., 11] -> [..., 10] with sizes in metres and a yaw angle."""
    yaw = torch.atan2(boxes[..., 6], boxes[..., 7])
    return torch.cat((boxes[..., :3], boxes[..., 3:6].exp(), yaw[..., None], boxes[..., 8:11]), dim=-1)


def decode_objects(outputs: StudentOutputs, num_output: int, row: int = 0) -> DecodedObjects:
    """The `num_output` best detections of stream `row`, with their futures."""
    detection, motion = outputs.detection, outputs.motion
    quality = detection.quality[-1]
    if quality is None:
        raise ValueError("detection outputs carry no quality logits")
    class_scores, labels = detection.logits[-1][row].sigmoid().max(dim=-1)
    class_scores, rows = class_scores.topk(num_output)
    scores, order = (class_scores * quality[row, rows, 0].sigmoid()).sort(descending=True)
    rows = rows[order]
    boxes = detection.anchors[-1][row, rows]
    return DecodedObjects(
        decode_boxes(boxes),
        scores,
        class_scores[order],
        labels[rows],
        outputs.ids[row, rows],
        motion.motion_offsets[row, rows].cumsum(dim=-2) + boxes[:, None, None, :2],
        motion.motion_logits[row, rows].sigmoid(),
    )


def decode_map(polylines: PerceptionOutputs, num_output: int, row: int = 0) -> DecodedMap:
    """The `num_output` best (polyline, class) pairs of stream `row`."""
    logits = polylines.logits[-1][row]
    scores, flat = logits.sigmoid().flatten().topk(num_output)
    index = flat // logits.shape[-1]
    vectors = polylines.anchors[-1][row, index].unflatten(-1, (-1, 2))
    return DecodedMap(vectors, scores, flat % logits.shape[-1])


def plan_positions(plan_offsets: Tensor) -> Tensor:
    """Per-step offsets [..., steps, 2] -> positions relative to the LiDAR origin (m)."""
    return plan_offsets.cumsum(dim=-2)
