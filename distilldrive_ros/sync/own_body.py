"""The vehicle's own body, on which its LiDAR also sees returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class OwnBody:
    """Box in base_link [m], somewhat larger than the vehicle with what is mounted on it.

    Raises ConfigurationError from the constructor when a number is not finite or a range is empty.
    """

    x_min: float
    x_max: float
    y_min: float
    y_max: float
    z_min: float
    z_max: float

    def __post_init__(self) -> None:
        for axis, low, high in self._ranges():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ConfigurationError(f"own_body: {axis} is [{low:g}, {high:g}]; give the lower end, then the upper")

    def _ranges(self) -> tuple[tuple[str, float, float], ...]:
        return (("x", self.x_min, self.x_max), ("y", self.y_min, self.y_max), ("z", self.z_min, self.z_max))

    def without_own(self, points: NDArray[np.float32], base_from_lidar: NDArray[np.float64]) -> NDArray[np.float32]:
        """Points (n, 5) of the LiDAR's frame that do not lie in the box; those that are not finite stay."""
        rotation, translation = base_from_lidar[:3, :3].astype(np.float32), base_from_lidar[:3, 3].astype(np.float32)
        base = points[:, :3] @ rotation.T + translation
        inside = np.ones(len(points), bool)
        for column, (_, low, high) in enumerate(self._ranges()):
            inside &= (base[:, column] > low) & (base[:, column] < high)
        return points[~inside] if inside.any() else points
