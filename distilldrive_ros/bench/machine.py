"""On what a benchmark ran: without that its numbers mean nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """`cores`: those this process may use. `load`: runnable processes over the minute before the benchmark."""

    date: str
    cpu: str
    cores: int
    load: float
    system: str
    python: str
    torch: str
    device: str

    def __str__(self) -> str:
        """One line for the head of a table."""
        device = "" if self.device == "cpu" else f", {self.device}"
        return (
            f"{self.cpu}, {self.cores} cores (load {self.load:.1f}){device}; Python {self.python}, "
            f"torch {self.torch}; {self.date}"
        )


def this_machine() -> Machine:
    """The machine and its state now. The device is that of the networks: a GPU's name, or cpu."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        cpu=_cpu_name(),
        cores=cores,
        load=os.getloadavg()[0],
        system=platform.platform(),
        python=platform.python_version(),
        torch=_version("torch"),
        device=_device_name(),
    )


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _device_name() -> str:
    try:
        import torch
    except ImportError:
        return "cpu"
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
