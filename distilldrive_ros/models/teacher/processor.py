"""From annotations of single frames to the padded tensors of the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distilldrive_ros.models.teacher.config import TeacherConfig
from distilldrive_ros.models.teacher.state import TeacherInputs
from distilldrive_ros.scene.errors import SensorDataError

NO_INSTANCE = -1
"""Id of a padded row."""


@dataclass(frozen=True)
class FrameAnnotations:
    """Annotations of one frame: rows of TeacherInputs before padding, A agents and P polylines.

    boxes [A, 9], labels [A], ids [A], offsets [A, steps, 2], valid [A, steps]; lines [P, points, 2], line_labels [P].
    """

    boxes: Tensor
    labels: Tensor
    ids: Tensor
    offsets: Tensor
    valid: Tensor
    lines: Tensor
    line_labels: Tensor


def prepare_annotations(
    timestamp: Tensor, world_from_lidar: Tensor, frames: Sequence[FrameAnnotations], config: TeacherConfig
) -> TeacherInputs:
    """Annotations of B streams side by side; timestamp [B] float64 s, world_from_lidar [B, 4, 4] float64.

    Raises SensorDataError: a frame has more agents or polylines than the configuration allows.
    """
    for row, frame in enumerate(frames):
        _check_count(row, "agents", len(frame.ids), "max_agents", config.max_agents)
        _check_count(row, "polylines", len(frame.line_labels), "max_polylines", config.max_polylines)
    present = [torch.ones(len(frame.line_labels), dtype=torch.bool, device=frame.lines.device) for frame in frames]
    return TeacherInputs(
        timestamp,
        world_from_lidar,
        _padded_agents([frame.boxes for frame in frames]),
        _padded_agents([frame.labels for frame in frames]),
        _padded_agents([frame.ids for frame in frames], NO_INSTANCE),
        _padded_agents([frame.offsets for frame in frames]),
        _padded_agents([frame.valid for frame in frames]),
        _padded([frame.lines for frame in frames]),
        _padded([frame.line_labels for frame in frames]),
        _padded(present),
    )


def _padded(rows: Sequence[Tensor], value: float = 0) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _padded_agents(rows: Sequence[Tensor], value: float = 0) -> Tensor:
    """Padded to one row at least: an empty road has nobody to be matched with, and a search among none fails."""
    padded = _padded(rows, value)
    if padded.shape[1]:
        return padded
    return padded.new_full((padded.shape[0], 1, *padded.shape[2:]), value)


def _check_count(row: int, what: str, count: int, option: str, limit: int) -> None:
    if count > limit:
        raise SensorDataError(
            f"stream {row} has {count} annotated {what}, the teacher takes at most {limit}; raise its {option} or "
            f"drop the farthest"
        )
