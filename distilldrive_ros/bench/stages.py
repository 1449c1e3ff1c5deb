"""Seconds by stage of a step, of the parts that a model's own clock does not tell apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from distilldrive_ros.bench.load import arithmetic, matmul_peak, peak_memory_mib
from distilldrive_ros.bench.measure import Measurement, Spread


class StageTimes:
    """Samples by stage, in the order in which the stages were first seen."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.samples: dict[str, list[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        start = self._now()
        yield
        self.samples.setdefault(name, []).append(self._now() - start)

    @contextmanager
    def modules(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Time every call of these modules inside, by the given names."""
        started: dict[str, float] = {}
        handles = []
        for name, module in modules.items():

            def before(*_: Any, name: str = name) -> None:
                started[name] = self._now()

            def after(*_: Any, name: str = name) -> None:
                self.samples.setdefault(name, []).append(self._now() - started[name])

            handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def measurements(self, prefix: str) -> list[Measurement]:
        """Median and 99th percentile of every stage, and of the sum of all."""
        rows = {
            **self.samples,
            "total of the stages": [sum(parts) for parts in zip(*self.samples.values(), strict=True)],
        }
        found = []
        for name, values in rows.items():
            spread = Spread.of(values)
            note = f"99th percentile {spread.p99:.4g} s, {spread.count} sets"
            found.append(Measurement(f"{prefix} {name}", spread.median, "s", note=note))
        return found

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def load_of(prefix: str, work: Callable[[], object], device: torch.device) -> list[Measurement]:
    """Share of the matrix-product peak and highest memory of one run of a network."""
    operations = arithmetic(work)
    times = StageTimes(device)
    with times.stage("run"):
        work()
    peak = matmul_peak(device)
    share = operations / times.samples["run"][0] / peak
    memory = peak_memory_mib(work, device)
    return [
        Measurement(f"{prefix} arithmetic", operations / 1e9, "GFLOP"),
        Measurement(
            f"{prefix} share of the matrix-product peak", share, "", note=f"peak {peak / 1e9:.4g} GFLOP/s, fp32"
        ),
        Measurement(f"{prefix} highest memory", memory, "MiB", note="of the process" if device.type == "cpu" else ""),
    ]
