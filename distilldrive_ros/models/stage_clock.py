"""Where a model spends its time."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch


class StageClock:
    """Steady-clock time by stage; waits for the device where its work is asynchronous."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = time.perf_counter()
        self._stages: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Close a stage."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self._stages[name] = now - self._last
        self._last = now

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds by stage, in order."""
        return dict(self._stages)
