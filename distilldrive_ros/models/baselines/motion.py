"""Closed-form vehicle motion behind the baseline models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Below this yaw rate (rad/s) the closed form divides by nearly zero; its limit is used, right to second order.
STRAIGHT_YAW_RATE = 1e-5


def constant_velocity(speed: float, lateral_speed: float, times: Array) -> tuple[Array, Array, Array]:
    """Positions (T, 2) m, headings (T,) rad and speeds (T,) m/s of straight, unaccelerated motion from the origin."""
    positions = np.stack([speed * times, lateral_speed * times], axis=-1)
    return positions, np.zeros_like(times), np.full_like(times, np.hypot(speed, lateral_speed))


def constant_turn_rate_and_acceleration(
    speed: float, yaw_rate: float, acceleration: float, times: Array
) -> tuple[Array, Array, Array]:
    """Positions (T, 2) m, headings (T,) rad and speeds (T,) m/s of CTRA motion from the origin, facing +x.

    A braking vehicle stops and stays: speed never changes its sign. The heading turns with the yaw rate until the stop.
    Closed form: Schubert, Richter, Wanielik, "Comparison and evaluation of advanced motion models for
    vehicle tracking", FUSION 2008.
    """
    if speed * acceleration < 0:
        times = np.minimum(times, -speed / acceleration)
    heading = yaw_rate * times
    v = speed + acceleration * times
    if abs(yaw_rate) < STRAIGHT_YAW_RATE:
        distance = speed * times + 0.5 * acceleration * times**2
        return np.stack([distance, 0.5 * heading * distance], axis=-1), heading, v
    sin, cos = np.sin(heading), np.cos(heading)
    x = (v * sin + acceleration / yaw_rate * cos - acceleration / yaw_rate) / yaw_rate
    y = (-v * cos + acceleration / yaw_rate * sin + speed) / yaw_rate
    return np.stack([x, y], axis=-1), heading, v
