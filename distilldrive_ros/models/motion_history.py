"""The vehicle's motion at the set before: what models need that want its acceleration."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distilldrive_ros.scene.sensor_frame import EgoStatus

# Differences over less time than this are noise, not acceleration (s).
MIN_ACCELERATION_INTERVAL_S = 0.05


@dataclass(frozen=True)
class MotionHistory:
    """The set before: its stamp and forward speed (m/s), to tell acceleration where odometry gives none."""

    stamp_ns: int
    speed: float


def forward_acceleration(ego: EgoStatus, history: MotionHistory | None, stamp_ns: int) -> float:
    """Forward acceleration in m/s^2: as reported, else from the speed of the set before, else 0."""
    if math.isfinite(ego.acceleration):
        return ego.acceleration
    if history is None:
        return 0.0
    interval = (stamp_ns - history.stamp_ns) * 1e-9
    return (ego.speed - history.speed) / interval if interval >= MIN_ACCELERATION_INTERVAL_S else 0.0
