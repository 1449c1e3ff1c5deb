"""The vehicle's motion at a set and at the set before: what models need that want its acceleration."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import EgoStatus, SensorFrame

# Differences over less time than this are noise, not acceleration (s).
MIN_ACCELERATION_INTERVAL_S = 0.05


@dataclass(frozen=True)
class MotionHistory:
    """The set before: its stamp and forward speed (m/s), to tell acceleration where odometry gives none."""

    stamp_ns: int
    speed: float


def require_motion(frame: SensorFrame) -> SensorFrame:
    """The set, if its motion is finite. Raises SensorDataError."""
    ego = frame.ego
    if not all(map(math.isfinite, (ego.speed, ego.lateral_speed, ego.yaw_rate))):
        raise SensorDataError("odometry twist holds NaN or infinity; check the odometry source")
    return frame


def forward_acceleration(ego: EgoStatus, history: MotionHistory | None, stamp_ns: int) -> float:
    """Forward acceleration in m/s^2: as reported, else from the speed of the set before, else 0."""
    if math.isfinite(ego.acceleration):
        return ego.acceleration
    if history is None:
        return 0.0
    interval = (stamp_ns - history.stamp_ns) * 1e-9
    return (ego.speed - history.speed) / interval if interval >= MIN_ACCELERATION_INTERVAL_S else 0.0
