"""Instance queue: the last frames of every tracked instance and of the ego (spec 6.3), as pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import BOX_SIZE, STATUS_FORWARD_SPEED
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep, forward_speed, project_boxes
from distilldrive_ros.models.distilldrive.instance_bank import gather_rows
from distilldrive_ros.models.distilldrive.state import QueueState, StudentState

_EGO_BOX = (0.0, 0.5, -1.06, 4.08, 1.73, 1.56)
_FORWARD_VELOCITY = 9


@dataclass(frozen=True)
class QueueWindow:
    """Queue with the current frame appended, in current coordinates, rows as in the current frame.

    agent_feature [B, T, N, D], agent_box [B, T, N, 11], period [B, N]; ego_feature [B, T, K, D], ego_box [B, T, K,
    11], ego_period [B].
    """

    agent_feature: Tensor
    agent_box: Tensor
    period: Tensor
    ego_feature: Tensor
    ego_box: Tensor
    ego_period: Tensor


class InstanceQueue(nn.Module):
    """Holds the constant ego box `ego_anchor` [1, 11]."""

    def __init__(self) -> None:
        super().__init__()
        box = torch.tensor([[*_EGO_BOX, 1.0, 0.0, 0.0, 0.0, 0.0]])
        box[:, 3:6] = box[:, 3:6].log()
        self.ego_anchor = nn.Parameter(box.view(1, BOX_SIZE), requires_grad=False)

    def ego_box(self, queue: QueueState | None, step: FrameStep | None, batch: int, measured: bool) -> Tensor:
        """Ego box [B, 11] with `past_speed` as its forward velocity, 0 without history."""
        box = self.ego_anchor.expand(batch, -1)
        speed = past_speed(queue, step, measured)
        if speed is None:
            return box
        return torch.cat((box[:, :_FORWARD_VELOCITY], speed[:, None], box[:, _FORWARD_VELOCITY + 1 :]), dim=1)


def past_speed(queue: QueueState | None, step: FrameStep | None, measured: bool) -> Tensor | None:
    """Forward speed [B], m/s, as predicted one frame ago or, if `measured`, of the step since then; 0 where the step is
    too long ago to count, None without history."""
    if queue is None or step is None:
        return None
    speed = forward_speed(step) if measured else queue.status[:, STATUS_FORWARD_SPEED]
    return torch.where(step.recent, speed, 0.0)


def advance(
    queue: QueueState | None,
    step: FrameStep | None,
    ids: Tensor,
    feature: Tensor,
    box: Tensor,
    ego_feature: Tensor,
    ego_box: Tensor,
    length: int,
    threshold: float,
) -> QueueWindow:
    """Bring the queue to the current frame, line its rows up by id, append the current instances.

    ids [B, N], feature [B, N, D], box [B, N, 11] of the detection head; ego_feature [B, K, D], ego_box [B, K, 11].
    """
    current = QueueWindow(
        feature.detach()[:, None],
        box.detach()[:, None],
        torch.ones_like(ids),
        ego_feature[:, None],
        ego_box[:, None],
        ids.new_ones(ids.shape[0]),
    )
    if queue is None or step is None:
        return current
    past = _drop_oldest(queue, length - 1)
    matched, source = match_ids(ids, queue.ids, queue.confidence > threshold)
    transform = step.transform
    agent_box = _reorder(_project_all(past.agent_box, transform), matched, source)
    agent_feature = _reorder(past.agent_feature, matched, source)
    period = torch.where(matched, gather_rows(queue.period, source), 0) + 1
    ego_period = torch.where(step.recent, queue.ego_period, 0) + 1
    return QueueWindow(
        torch.cat((agent_feature, current.agent_feature), dim=1),
        torch.cat((agent_box, current.agent_box), dim=1),
        period.clamp(max=length),
        torch.cat((past.ego_feature, current.ego_feature), dim=1),
        torch.cat((_project_all(past.ego_box, transform), current.ego_box), dim=1),
        ego_period.clamp(max=length),
    )


def match_ids(ids: Tensor, old_ids: Tensor, trusted: Tensor) -> tuple[Tensor, Tensor]:
    """Where each current instance was one frame ago: found [B, N] bool and old row [B, N] (0 where not found).

    `trusted` [B, N]: old rows that may be matched. Ids are unique, so there is at most one match.
    """
    equal = (ids[:, :, None] == old_ids[:, None, :]) & trusted[:, None, :]
    return equal.any(dim=2), equal.int().argmax(dim=2)


def store(window: QueueWindow, ids: Tensor, confidence: Tensor, ego_feature: Tensor, status: Tensor) -> QueueState:
    """State for the next frame; the newest ego entry becomes the decoder's result, agents keep their features."""
    ego_history = torch.cat((window.ego_feature[:, :-1], ego_feature[:, None]), dim=1)
    return QueueState(
        window.agent_feature,
        window.agent_box,
        window.period,
        ids,
        confidence,
        ego_history.detach(),
        window.ego_box,
        window.ego_period,
        status.detach(),
    )


def with_full_queue(state: StudentState, length: int) -> StudentState:
    """Zeros before the oldest frame, until there are `length`, so that shapes never change; `period` says that they do
    not count."""
    queue = state.queue
    lacking = length - queue.agent_box.shape[1]
    if lacking <= 0:
        return state
    histories = ("agent_feature", "agent_box", "ego_feature", "ego_box")
    padded = {name: F.pad(getattr(queue, name), (0, 0, 0, 0, lacking, 0)) for name in histories}
    return replace(state, queue=replace(queue, **padded))


def temporal_keys(agents: Tensor, ego: Tensor) -> Tensor:
    """History of every token: agents [B, T, N, D], ego [B, T, K, D] -> [B (N + K), T, D]."""
    return torch.cat((agents, ego), dim=2).transpose(1, 2).flatten(0, 1)


def ignored_entries(window: QueueWindow) -> Tensor:
    """Queue entries that hold nothing, [B (N + K), T] bool (True: ignore); the current frame is always there."""
    steps = window.agent_feature.shape[1]
    num_ego = window.ego_feature.shape[2]
    age = torch.arange(steps, 0, -1, device=window.period.device)
    period = torch.cat((window.period, window.ego_period[:, None].expand(-1, num_ego)), dim=1)
    return (age > period[..., None]).flatten(0, 1)


def _drop_oldest(queue: QueueState, keep: int) -> QueueWindow:
    first = max(queue.agent_box.shape[1] - keep, 0)
    return QueueWindow(
        queue.agent_feature[:, first:],
        queue.agent_box[:, first:],
        queue.period,
        queue.ego_feature[:, first:],
        queue.ego_box[:, first:],
        queue.ego_period,
    )


def _project_all(boxes: Tensor, transform: Tensor) -> Tensor:
    """Boxes [B, T, N, 11]: ego motion only, nothing moves along its velocity."""
    batch, steps, rows, _ = boxes.shape
    return project_boxes(boxes.flatten(1, 2), transform).view(batch, steps, rows, BOX_SIZE)


def _reorder(entries: Tensor, matched: Tensor, source: Tensor) -> Tensor:
    """Rows of entries [B, T, N, ...] by their current place, zero where unmatched."""
    moved = gather_rows(entries.transpose(1, 2), source)
    return torch.where(matched[:, :, None, None], moved, 0.0).transpose(1, 2)
