"""From a set to the network's input and from its way-points to a plan."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distilldrive_ros.geometry.trajectories import headings, speeds
from distilldrive_ros.models.ego_mlp.checkpoint import load_ego_mlp
from distilldrive_ros.models.ego_mlp.features import PERIOD_S, EgoHistory, advanced, features
from distilldrive_ros.models.ego_mlp.network import EgoMlp, predicted
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import require_motion
from distilldrive_ros.models.plan_output import plan_output
from distilldrive_ros.scene.errors import ConfigurationError, ModelOutputError
from distilldrive_ros.scene.sensor_frame import SensorFrame

# Between points nearer to each other than this the heading stays, m.
STANDSTILL_M = 0.1


@dataclass(frozen=True)
class EgoMlpModel:
    """One candidate of six points. The network is small: it always runs on the CPU."""

    network: EgoMlp
    model_id: str
    trained: bool
    device: str = "cpu"

    @property
    def requirements(self) -> SensorRequirements:
        """Odometry and the command, every half second."""
        return SensorRequirements(cameras=(), lidar=False, period_s=PERIOD_S, max_gap_s=1.0)

    def initial_state(self) -> EgoHistory | None:
        """No set before."""
        return None

    def prepare(self, frame: SensorFrame) -> SensorFrame:
        """Check the motion. Raises SensorDataError."""
        return require_motion(frame)

    def step(self, state: EgoHistory | None, prepared: SensorFrame) -> tuple[EgoHistory, ModelOutput]:
        """Plan.

        Raises:
            ModelOutputError: a way-point is not finite.
        """
        start = time.perf_counter()
        history = advanced(state, prepared)
        points = predicted(self.network, features(history, prepared.command)[None])
        if not np.isfinite(points).all():
            raise ModelOutputError("the way-points are not finite; check the weights")
        trajectories = (points[..., 0], points[..., 1], headings(points, STANDSTILL_M), speeds(points, PERIOD_S))
        seconds = {"network": time.perf_counter() - start}
        output = plan_output(prepared, self.model_id, np.ones(1), trajectories, PERIOD_S, seconds)
        return history, output


def build_ego_mlp(weights: Path | None, seed: int) -> EgoMlpModel:
    """With the weights of a file, or untrained ones drawn from the seed.

    Raises:
        CheckpointError: the file cannot be used.
        ConfigurationError: `weights` is a folder.
    """
    if weights is None:
        return EgoMlpModel(EgoMlp().reset(seed).eval(), "ego_mlp@untrained", trained=False)
    if weights.is_dir():
        raise ConfigurationError(
            f"{weights} is a folder of cross-validation, which only `evaluate` and `navsim` take; give one file of it"
        )
    network, digest = load_ego_mlp(weights)
    return EgoMlpModel(network, f"ego_mlp@{digest}", trained=True)
