"""The vehicle that NAVSIM drives, whoever proposed the trajectory (spec 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Below this speed (m/s) a yaw rate says nothing of the steering angle.
SLOWEST_STEERING_SPEED = 1.0


@dataclass(frozen=True)
class Vehicle:
    """Sizes in metres. `center_offset`: how far the body's centre lies ahead of the rear axle."""

    width: float
    front_length: float
    rear_length: float
    wheel_base: float
    center_offset: float
    max_steering_angle: float

    @property
    def length(self) -> float:
        """Bumper to bumper."""
        return self.front_length + self.rear_length

    def steering_angle(self, speed: ArrayLike, yaw_rate: ArrayLike) -> Array:
        """Steering angle (...) rad of a bicycle with this wheel base at speeds and yaw rates; 0 near standstill."""
        v, rate = np.asarray(speed, np.float64), np.asarray(yaw_rate, np.float64)
        moving = np.abs(v) >= SLOWEST_STEERING_SPEED
        return np.asarray(np.arctan(np.where(moving, rate / np.where(moving, v, 1.0), 0.0) * self.wheel_base))

    def centers(self, poses: ArrayLike) -> Array:
        """Centres (..., 2) of the body at rear-axle poses (..., 3)."""
        p = np.asarray(poses, np.float64)
        direction = np.stack([np.cos(p[..., 2]), np.sin(p[..., 2])], axis=-1)
        return np.asarray(p[..., :2] + self.center_offset * direction)

    def corners(self, poses: ArrayLike) -> Array:
        """Corners (..., 4, 2) at rear-axle poses (..., 3): front left, rear left, rear right, front right."""
        p = np.asarray(poses, np.float64)
        forward = np.stack([np.cos(p[..., 2]), np.sin(p[..., 2])], axis=-1)
        left = np.stack([-forward[..., 1], forward[..., 0]], axis=-1) * (self.width / 2)
        center = p[..., :2] + self.center_offset * forward
        half = forward * (self.length / 2)
        front, rear = center + half, center - half
        return np.stack([front + left, rear + left, rear - left, front - left], axis=-2)


PACIFICA = Vehicle(
    width=2.297,
    front_length=4.049,
    rear_length=1.127,
    wheel_base=3.089,
    center_offset=1.461,
    max_steering_angle=float(np.pi / 3),
)
