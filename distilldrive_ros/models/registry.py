"""Models by name: the one place that knows which models there are and how to make them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.models.baselines.model import BaselineConfig, BaselineModel
from distilldrive_ros.models.diffusiondrive.config import NAVSIM_CAMERAS
from distilldrive_ros.models.diffusiondrive.config import NUSCENES_CAMERAS as FRONT_CAMERAS
from distilldrive_ros.models.distilldrive.config import NUSCENES_CAMERAS as SURROUND_CAMERAS
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.scene.errors import ConfigurationError

PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class ModelRequest:
    """`weights`: checkpoint or None for untrained weights drawn from `seed`. `device`: auto, cpu, cuda or cuda:N.

    Of the diffusion models: `partial_weights` takes a checkpoint that leaves modules untrained; `sampling` is
    compatible or proper, `candidates` deterministic or random (see their `schedule` and `noise`). `precision` of the
    image networks: fp32, bf16, or fp16 on a GPU.
    """

    weights: Path | None = None
    device: str = "auto"
    seed: int = 0
    partial_weights: bool = False
    sampling: str = "compatible"
    candidates: str = "deterministic"
    precision: str = "fp32"


@dataclass(frozen=True)
class SensorNeeds:
    """What a set must hold for a model. `rigs`: names of cameras, any of these groups will do; none: it is blind."""

    rigs: tuple[tuple[str, ...], ...] = ()
    lidar: bool = False


@dataclass(frozen=True)
class ModelEntry:
    """What the tables and `--help` say of a model, what it needs of the sensors, and how it is made.

    `privileged`: it is given the ground truth.
    """

    summary: str
    sensors: str
    weights: str
    build: Callable[[ModelRequest], DrivingModel]
    needs: SensorNeeds = SensorNeeds()
    privileged: bool = False


def _baseline(kind: str) -> Callable[[ModelRequest], DrivingModel]:
    def build(request: ModelRequest) -> DrivingModel:
        if request.weights is not None:
            raise ConfigurationError(f"model {kind} is a rule and takes no weights; leave the weights empty")
        if request.precision != "fp32":
            raise ConfigurationError(f"model {kind} is a rule without networks; leave the precision fp32")
        return BaselineModel(BaselineConfig(kind))

    return build


def _pdm_closed(request: ModelRequest) -> DrivingModel:
    if request.weights is not None:
        raise ConfigurationError("model pdm_closed is a rule and takes no weights; leave the weights empty")
    # Imported here: scipy and shapely take their time, and only this model needs them.
    from distilldrive_ros.models.baselines.pdm_closed import PdmClosedModel

    return PdmClosedModel()


def _before_torch() -> None:
    """Read once, when torch is first imported: threads that spin while they wait (the default) starve the other
    processes of the graph, which made small networks ten times slower on two cores."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _student(preset: str) -> Callable[[ModelRequest], DrivingModel]:
    def build(request: ModelRequest) -> DrivingModel:
        if request.partial_weights:
            raise ConfigurationError(f"model {preset} takes no partial weights; leave partial_weights false")
        _before_torch()
        # Imported here: the rules above must run where torch is not installed.
        from distilldrive_ros.models.distilldrive.engine import EngineOptions
        from distilldrive_ros.models.distilldrive.processor import build_student

        options = EngineOptions(precision=request.precision)
        return build_student(preset, request.weights, request.device, request.seed, options=options)

    return build


def _ego_mlp(request: ModelRequest) -> DrivingModel:
    if request.partial_weights:
        raise ConfigurationError("model ego_mlp takes no partial weights; leave partial_weights false")
    _before_torch()
    from distilldrive_ros.models.ego_mlp.processor import build_ego_mlp

    return build_ego_mlp(request.weights, request.seed)


def _diffusiondrive(preset: str) -> Callable[[ModelRequest], DrivingModel]:
    def build(request: ModelRequest) -> DrivingModel:
        _before_torch()
        from distilldrive_ros.models.diffusiondrive.processor import build_diffusiondrive, planner_settings

        settings = planner_settings(request.sampling, request.candidates, request.seed)
        return build_diffusiondrive(
            preset,
            request.weights,
            request.device,
            request.seed,
            request.partial_weights,
            settings,
            request.precision,
        )

    return build


_SURROUND = SensorNeeds((SURROUND_CAMERAS,))
_FRONT_AND_LIDAR = SensorNeeds((NAVSIM_CAMERAS, FRONT_CAMERAS), lidar=True)

MODELS: dict[str, ModelEntry] = {
    "student": ModelEntry(
        "DistillDrive student, full size (86 M parameters), 18 modes; loads the official checkpoints",
        "6 cameras",
        "official checkpoints of DistillDrive; none shipped, untrained without",
        _student("student"),
        _SURROUND,
    ),
    "student_tiny": ModelEntry(
        "the same network, small, for two CPU cores",
        "6 cameras",
        "none yet, untrained",
        _student("student_tiny"),
        _SURROUND,
    ),
    "diffusiondrive": ModelEntry(
        "DiffusionDriveV2 with mode selector (93 M parameters), 800 candidates, the best 32 with scores",
        "3 front cameras, LiDAR",
        "official checkpoints of DiffusionDriveV2 (sel); none shipped, untrained without",
        _diffusiondrive("diffusiondrive"),
        _FRONT_AND_LIDAR,
    ),
    "diffusiondrive_rl": ModelEntry(
        "its policy alone (59 M parameters), 80 candidates without a selector",
        "3 front cameras, LiDAR",
        "official checkpoints (rl, sel); none shipped, untrained without",
        _diffusiondrive("diffusiondrive_rl"),
        _FRONT_AND_LIDAR,
    ),
    "diffusiondrive_v1": ModelEntry(
        "DiffusionDrive, imitation only (61 M parameters), 20 modes",
        "3 front cameras, LiDAR",
        "official checkpoint (v1); none shipped, untrained without",
        _diffusiondrive("diffusiondrive_v1"),
        _FRONT_AND_LIDAR,
    ),
    "diffusiondrive_tiny": ModelEntry(
        "policy with selector made small, for two CPU cores",
        "3 front cameras, LiDAR",
        "none yet, untrained",
        _diffusiondrive("diffusiondrive_tiny"),
        _FRONT_AND_LIDAR,
    ),
    "ego_mlp": ModelEntry(
        "6 000 weights that see the vehicle's own motion and the command only",
        "odometry, command",
        "by `distilldrive crossvalidate`; none shipped, untrained without",
        _ego_mlp,
    ),
    "constant_velocity": ModelEntry(
        "straight on at the present speed", "odometry", "a rule", _baseline("constant_velocity")
    ),
    "ctra": ModelEntry("constant turn rate and acceleration", "odometry", "a rule", _baseline("ctra")),
    "pdm_closed": ModelEntry(
        "privileged: the manner of PDM-Closed, sees the annotated road users and the map with the route",
        "odometry and the ground truth of a converted bag",
        "a rule",
        _pdm_closed,
        privileged=True,
    ),
}


# The model whose weights `distilldrive crossvalidate` makes, a file for every scene.
CROSS_VALIDATED = "ego_mlp"


def load_fold(folder: Path, scene: str) -> DrivingModel:
    """The cross-validated model with the weights that have not seen a scene.

    Raises:
        CheckpointError: the folder holds none for that scene, or they cannot be used.
    """
    _before_torch()
    from distilldrive_ros.models.ego_mlp.checkpoint import fold_file

    return load_model(CROSS_VALIDATED, ModelRequest(fold_file(folder, scene)))


def load_model(name: str, request: ModelRequest | None = None) -> DrivingModel:
    """Make a model ready for inference.

    Raises:
        ConfigurationError: unknown name, device that is not there, weights for a model that takes none.
        CheckpointError: the weight file cannot be used.
    """
    if name not in MODELS:
        raise ConfigurationError(f"model {name!r} is unknown; use one of {', '.join(MODELS)}")
    return MODELS[name].build(request or ModelRequest())
