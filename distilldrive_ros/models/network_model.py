"""What every model has that is a torch network with a weight file: its device, its name, the threads for its images."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from distilldrive_ros.models.captured_step import CapturedStep, CaptureReport


class WeightReport(Protocol):
    """What a weight file gave: `digest`, the first twelve hex digits of its SHA-256; `complete`, all it had to."""

    @property
    def digest(self) -> str: ...

    @property
    def complete(self) -> bool: ...


N = TypeVar("N", bound=nn.Module)
R = TypeVar("R", bound=WeightReport)


class NetworkModel(Generic[N, R]):
    """Base of the `DrivingModel`s that run one network on one device."""

    def __init__(self, name: str, network: N, device: str, report: R | None, cameras: int) -> None:
        """Take the network to its device.

        Args:
            name: of the network's configuration.
            network: goes into evaluation mode.
            device: cpu or cuda:N.
            report: of its weight file, None where there was none.
            cameras: pictures of a set that are prepared side by side.
        """
        self._name = name
        self._device = torch.device(device)
        self._network: N = network.eval().to(self._device)
        self._report = report
        self._captured: CapturedStep[Any, Any, Any] | None = None
        self._executor = ThreadPoolExecutor(min(cameras, os.cpu_count() or 1), thread_name_prefix="image")

    @property
    def network(self) -> N:
        """The torch module, in evaluation mode on `device`; the engine holds folded copies of its image networks."""
        return self._network

    @property
    def checkpoint_report(self) -> R | None:
        """What the weight file gave, None where there was none."""
        return self._report

    @property
    def model_id(self) -> str:
        """`name@hash` of the weight file, or `name@untrained` where any module has random weights."""
        return f"{self._name}@{self._report.digest if self._report and self.trained else 'untrained'}"

    @property
    def trained(self) -> bool:
        """Whether a weight file filled all modules."""
        return self._report is not None and self._report.complete

    @property
    def device(self) -> str:
        """cpu or cuda:N."""
        return str(self._device)

    @property
    def capture(self) -> CaptureReport | None:
        """What became of the step in fixed memory; None where it runs without."""
        return None if self._captured is None else self._captured.report
