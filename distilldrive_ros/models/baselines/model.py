"""Baseline models: they look at nothing but the vehicle's own motion. Every network has to beat them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.models.baselines.motion import constant_turn_rate_and_acceleration, constant_velocity
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration, require_motion
from distilldrive_ros.models.plan_output import plan_output
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.sensor_frame import SensorFrame

KINDS = ("constant_velocity", "ctra")


@dataclass(frozen=True)
class BaselineConfig:
    """`kind`: constant_velocity or ctra. `steps` points, `time_step` seconds apart (1 to 100 and 0.01 to 2 s)."""

    kind: str = "constant_velocity"
    steps: int = 6
    time_step: float = 0.5

    def __post_init__(self) -> None:
        """Refuse wrong values.

        Raises:
            ConfigurationError: with name, range and remedy.
        """
        if self.kind not in KINDS:
            raise ConfigurationError(f"baseline kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if not 1 <= self.steps <= 100:
            raise ConfigurationError(f"baseline steps = {self.steps} is out of range 1..100; use 6 for 3 s at 0.5 s")
        if not 0.01 <= self.time_step <= 2.0:
            raise ConfigurationError(f"baseline time_step = {self.time_step} s is out of range 0.01..2.0; use 0.5")


@dataclass(frozen=True)
class BaselineModel:
    """One candidate along the vehicle's present motion, with score 1."""

    config: BaselineConfig
    trained: bool = True
    device: str = "cpu"

    @property
    def model_id(self) -> str:
        """Rule-based: there are no weights to hash."""
        return f"{self.config.kind}@rule"

    @property
    def requirements(self) -> SensorRequirements:
        """Odometry only."""
        return SensorRequirements(cameras=(), lidar=False, period_s=0.0, max_gap_s=2.0)

    def initial_state(self) -> MotionHistory | None:
        """No set before."""
        return None

    def prepare(self, frame: SensorFrame) -> SensorFrame:
        """Check the ego status.

        Raises:
            SensorDataError: a speed or the yaw rate is not finite.
        """
        return require_motion(frame)

    def step(self, state: MotionHistory | None, prepared: SensorFrame) -> tuple[MotionHistory, ModelOutput]:
        """Extrapolate the motion at the set's stamp."""
        start = time.perf_counter()
        ego = prepared.ego
        times = np.arange(1, self.config.steps + 1, dtype=np.float64) * self.config.time_step
        if self.config.kind == "constant_velocity":
            positions, yaw, speed = constant_velocity(ego.speed, ego.lateral_speed, times)
        else:
            acceleration = forward_acceleration(ego, state, prepared.stamp_ns)
            positions, yaw, speed = constant_turn_rate_and_acceleration(ego.speed, ego.yaw_rate, acceleration, times)
        trajectory = (positions[None, :, 0], positions[None, :, 1], yaw[None], speed[None])
        seconds = {"motion": time.perf_counter() - start}
        output = plan_output(prepared, self.model_id, np.ones(1), trajectory, self.config.time_step, seconds)
        return MotionHistory(prepared.stamp_ns, ego.speed), output
