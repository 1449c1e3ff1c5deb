"""Temporal state of one stream, as plain tensors (spec 17). The network is a pure function of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

_State = TypeVar("_State")


@dataclass(frozen=True)
class BankState:
    """What a perception head remembers: `feature` [B, K, D], `anchor` [B, K, ...], `confidence` [B, K]."""

    feature: Tensor
    anchor: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class IdentityState:
    """Instance ids [B, N] int64 (the cached rows first, -1 after them) and the next fresh id [B] int64."""

    ids: Tensor
    next_id: Tensor


@dataclass(frozen=True)
class QueueState:
    """Last T frames of instances, oldest first, in the coordinates of the frame that stored them.

    agent_feature [B, T, N, D] and agent_box [B, T, N, 11] are aligned with the rows of the last frame; `period` [B,
    N] counts valid entries; `ids`, `confidence` [B, N] are those of the last frame. ego_feature [B, T, K, D],
    ego_box [B, T, K, 11], ego_period [B], status [B, 10] (the last prediction).
    """

    agent_feature: Tensor
    agent_box: Tensor
    period: Tensor
    ids: Tensor
    confidence: Tensor
    ego_feature: Tensor
    ego_box: Tensor
    ego_period: Tensor
    status: Tensor


@dataclass(frozen=True)
class PerceptionState:
    """What perception remembers from frame to frame.

    `timestamp` [B] float64 s and `world_from_lidar` [B, 4, 4] float64 belong to the frame that left the state
    behind; anchors and boxes are in the LiDAR frame of that instant.
    """

    timestamp: Tensor
    world_from_lidar: Tensor
    detection: BankState
    identity: IdentityState
    map: BankState

    @property
    def batch_size(self) -> int:
        return self.timestamp.shape[0]


@dataclass(frozen=True)
class StudentState(PerceptionState):
    """Everything that lives from frame to frame: perception and the queue of instances."""

    queue: QueueState

    def is_finite(self) -> bool:
        """Whether every number is finite; a state that is not must be dropped, for it would poison all later frames."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in state_tensors(self))

    def to(self, device: torch.device | str) -> StudentState:
        """Copy on another device."""
        return map_tensors(self, lambda tensor: tensor.to(device))


def state_tensors(state: Any) -> Iterator[Tensor]:
    """All tensors of a state dataclass, nested ones included, in declaration order."""
    for item in fields(state):
        value = getattr(state, item.name)
        if is_dataclass(value):
            yield from state_tensors(value)
        else:
            yield value


def map_tensors(value: _State, change: Callable[[Tensor], Tensor]) -> _State:
    """A copy with every tensor changed; goes into dataclasses and tuples, leaves everything else as it is."""
    return _map_any(value, change)


def _map_any(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_map_any(entry, change) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{item.name: _map_any(getattr(value, item.name), change) for item in fields(value)})
    return value


def join_tensors(values: Sequence[_State]) -> _State:
    """Streams of several dataclasses of tensors side by side: every tensor joined along its first dimension.

    Goes into dataclasses and tuples; anything else must be the same in all and is taken from the first.
    """
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values)  # type: ignore[arg-type,return-value]
    if isinstance(first, tuple):
        return tuple(join_tensors(entries) for entries in zip(*values, strict=True))  # type: ignore[return-value]
    if is_dataclass(first) and not isinstance(first, type):
        return type(first)(
            **{item.name: join_tensors([getattr(value, item.name) for value in values]) for item in fields(first)}
        )
    return first
