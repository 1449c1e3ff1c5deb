"""Memory of the networks from one batch to the next: rows that start a new sequence must not see the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.ego_motion import Posed
from distilldrive_ros.models.distilldrive.state import (
    IdentityState,
    QueueState,
    map_tensors,
)
from distilldrive_ros.training.batch import TrainingBatch

_LONG_AGO = 1000.0
"""Age in seconds given to the memory of a new sequence: more than any network looks back."""

_NOBODY = -1

Memory = TypeVar("Memory", bound=Posed)
"""A dataclass of tensors and of such dataclasses that knows when and where it was."""


def continued(memory: Memory | None, batch: TrainingBatch) -> Memory | None:
    """What the networks may remember in this batch; None when all streams start anew.

    Rows that restart are blanked: nothing in them, and so long ago that nothing of them counts. The networks then do
    what they do after a long gap, which is not to the last bit what they do without any memory (they attend to blank
    rows instead of to themselves).

    Raises ValueError: the memory is that of another number of streams.
    """
    if memory is None or bool(batch.restart.all()):
        return None
    if len(memory.timestamp) != batch.size:
        raise ValueError(
            f"the batch has {batch.size} streams, the memory {len(memory.timestamp)}; keep the batch size, or forget "
            f"the streams first"
        )
    if not bool(batch.restart.any()):
        return memory
    restart = batch.restart.to(memory.timestamp.device)
    changed: dict[str, Any] = {
        "timestamp": _where(restart, batch.timestamp - _LONG_AGO, memory.timestamp),
        "world_from_lidar": _where(restart, batch.world_from_lidar, memory.world_from_lidar),
    }
    for name, part in vars(memory).items():
        if name not in changed:
            changed[name] = _blanked(part, restart)
    return type(memory)(**changed)


def _blanked(part: Any, restart: Tensor) -> Any:
    """A part of the memory with rows of zeros; ids become those of nobody, for instance 0 is somebody."""
    blank = map_tensors(part, lambda tensor: _where(restart, torch.zeros_like(tensor), tensor))
    if isinstance(part, IdentityState | QueueState):
        blank = replace(blank, ids=_where(restart, torch.full_like(part.ids, _NOBODY), part.ids))
    return blank


def _where(restart: Tensor, blank: Tensor, kept: Tensor) -> Tensor:
    return torch.where(restart.view(-1, *[1] * (kept.dim() - 1)), blank, kept)
