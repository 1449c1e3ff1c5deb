"""Models by name: the one place that knows which models there are and how to make them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.models.baselines.model import BaselineConfig, BaselineModel
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class ModelRequest:
    """`weights`: checkpoint or None for untrained weights drawn from `seed`. `device`: auto, cpu, cuda or cuda:N."""

    weights: Path | None = None
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class ModelEntry:
    """What the tables and `--help` say of a model, and how it is made."""

    summary: str
    sensors: str
    weights: str
    build: Callable[[ModelRequest], DrivingModel]


def _baseline(kind: str) -> Callable[[ModelRequest], DrivingModel]:
    def build(request: ModelRequest) -> DrivingModel:
        if request.weights is not None:
            raise ConfigurationError(f"model {kind} is a rule and takes no weights; leave the weights empty")
        return BaselineModel(BaselineConfig(kind))

    return build


def _student(preset: str) -> Callable[[ModelRequest], DrivingModel]:
    def build(request: ModelRequest) -> DrivingModel:
        # Read once, when torch is first imported: threads that spin while they wait (the default) starve the other
        # processes of the graph, which made small networks ten times slower on two cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # Imported here: the rules above must run where torch is not installed.
        from distilldrive_ros.models.distilldrive.processor import build_student

        return build_student(preset, request.weights, request.device, request.seed)

    return build


MODELS: dict[str, ModelEntry] = {
    "student": ModelEntry(
        "DistillDrive student, full size (86 M parameters), 18 modes; loads the official checkpoints",
        "6 cameras",
        "official checkpoints of DistillDrive; none shipped, untrained without",
        _student("student"),
    ),
    "student_tiny": ModelEntry(
        "the same network, small, for two CPU cores", "6 cameras", "none yet, untrained", _student("student_tiny")
    ),
    "constant_velocity": ModelEntry(
        "straight on at the present speed", "odometry", "a rule", _baseline("constant_velocity")
    ),
    "ctra": ModelEntry("constant turn rate and acceleration", "odometry", "a rule", _baseline("ctra")),
}


def load_model(name: str, request: ModelRequest | None = None) -> DrivingModel:
    """Make a model ready for inference.

    Raises:
        ConfigurationError: unknown name, device that is not there, weights for a model that takes none.
        CheckpointError: the weight file cannot be used.
    """
    if name not in MODELS:
        raise ConfigurationError(f"model {name!r} is unknown; use one of {', '.join(MODELS)}")
    return MODELS[name].build(request or ModelRequest())
