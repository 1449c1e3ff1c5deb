"""Baseline models: they look at nothing but the vehicle's own motion. Every network has to beat them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.models.baselines.motion import constant_turn_rate_and_acceleration, constant_velocity
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap

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
        ego = frame.ego
        if not all(map(math.isfinite, (ego.speed, ego.lateral_speed, ego.yaw_rate))):
            raise SensorDataError("odometry twist holds NaN or infinity; check the odometry source")
        return frame

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
        candidates = TrajectoryCandidates(
            stamp_ns=prepared.stamp_ns,
            frame_id=prepared.frame_id,
            inference_stamp_ns=0,
            model_id=self.model_id,
            score_type=ScoreType.SOFTMAX,
            active_command=prepared.command,
            degraded=prepared.degraded,
            time_step=self.config.time_step,
            mode=np.zeros(1, np.uint32),
            command=np.full(1, prepared.command, np.uint8),
            score=np.ones(1, np.float32),
            x=positions[None, :, 0].astype(np.float32),
            y=positions[None, :, 1].astype(np.float32),
            yaw=yaw[None].astype(np.float32),
            speed=speed[None].astype(np.float32),
        )
        output = ModelOutput(
            candidates=candidates,
            objects=ObjectPredictions(prepared.stamp_ns, prepared.frame_id, self.model_id, ()),
            vector_map=VectorMap(prepared.stamp_ns, prepared.frame_id, self.model_id, ()),
            stage_seconds={"motion": time.perf_counter() - start},
        )
        return MotionHistory(prepared.stamp_ns, ego.speed), output
