"""The intelligent driver model, and who is ahead on a path (spec 7.6, 7.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.paths import Path

Array = NDArray[np.float64]

# Nobody brakes harder than tyres allow; the model itself knows no bound, m/s^2.
HARDEST_BRAKING = 8.0
# Gaps are never taken as smaller, m: the model divides by them.
SMALLEST_GAP_M = 0.1
NO_LEAD_M = 1e6


@dataclass(frozen=True)
class IdmParameters:
    """Treiber's parameters: gap at standstill m, headway s, acceleration and deceleration m/s^2, exponent."""

    min_gap: float = 1.0
    headway: float = 1.5
    acceleration: float = 1.5
    deceleration: float = 3.0
    exponent: float = 10.0

    def accelerate(self, speed: ArrayLike, target: ArrayLike, gap: ArrayLike, lead_speed: ArrayLike) -> Array:
        """Acceleration (...) m/s^2 at a speed with a target speed, behind a lead at a gap (m) with its speed."""
        v, v0 = np.asarray(speed, np.float64), np.asarray(target, np.float64)
        closing = v * (v - np.asarray(lead_speed)) / (2 * np.sqrt(self.acceleration * self.deceleration))
        wanted = self.min_gap + np.maximum(0.0, v * self.headway + closing)
        free = (v / v0) ** self.exponent
        braking = (wanted / np.maximum(np.asarray(gap), SMALLEST_GAP_M)) ** 2
        return np.maximum(self.acceleration * (1 - free - braking), -HARDEST_BRAKING)


@dataclass(frozen=True)
class Corridor:
    """The N objects whose bodies reach into a corridor around a path.

    Rear end (N,) and middle (N,) along it in m, speed along it (N,) in m/s.
    """

    rear: Array
    middle: Array
    speed: Array

    def lead(self, position: ArrayLike, front: float) -> tuple[Array, Array]:
        """Gap (...) m and speed (...) of the nearest object ahead of vehicles at positions (...) on the path.

        `front`: from a vehicle's position to its front bumper. `NO_LEAD_M` and 0 where the way is free.
        """
        at = np.asarray(position, np.float64)
        ahead = self.middle > at[..., None]
        gap = np.where(ahead, self.rear - at[..., None] - front, NO_LEAD_M)
        if not gap.shape[-1]:
            return np.full(at.shape, NO_LEAD_M), np.zeros(at.shape)
        nearest = gap.argmin(axis=-1)
        found = np.take_along_axis(gap, nearest[..., None], axis=-1)[..., 0]
        speed = np.where(found < NO_LEAD_M, self.speed[nearest], 0.0)
        return np.minimum(found, NO_LEAD_M), speed


def corridor(path: Path, width: float, corners: Array, velocities: Array) -> Corridor:
    """Objects with corners (N, K, 2) and velocities (N, 2) in a corridor of that width around a path."""
    centers = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centers[:, None], axis=-1).max(axis=1)
    rows = np.flatnonzero(path.near(centers, radii + width / 2))
    along, left = path.locate(corners[rows])
    inside = (left.min(axis=1) <= width / 2) & (left.max(axis=1) >= -width / 2)
    rows, along = rows[inside], along[inside]
    heading = path.poses(along.mean(axis=1))[:, 2]
    speed = np.cos(heading) * velocities[rows, 0] + np.sin(heading) * velocities[rows, 1]
    return Corridor(along.min(axis=1), along.mean(axis=1), speed)


def joined(corridors: Sequence[Corridor]) -> Corridor:
    """All objects of several corridors around the same path."""
    none = [Corridor(np.zeros(0), np.zeros(0), np.zeros(0))]
    names = ("rear", "middle", "speed")
    return Corridor(*(np.concatenate([getattr(c, name) for c in (*none, *corridors)]) for name in names))
