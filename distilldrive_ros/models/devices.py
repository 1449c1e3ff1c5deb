"""Devices by the names that people type."""

from __future__ import annotations

import torch

from distilldrive_ros.scene.errors import ConfigurationError


def resolve_device(name: str) -> str:
    """cpu or cuda:N from auto, cpu, cuda or cuda:N. Raises ConfigurationError for a device that is not there."""
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    index = 0 if name == "cuda" else int(name[5:]) if name.startswith("cuda:") and name[5:].isdecimal() else -1
    if index < 0:
        raise ConfigurationError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N")
    if index >= torch.cuda.device_count():
        raise ConfigurationError(
            f"device {name!r} is not there ({torch.cuda.device_count()} CUDA devices found); use auto or cpu"
        )
    return f"cuda:{index}"
