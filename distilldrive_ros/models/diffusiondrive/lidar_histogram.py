"""LiDAR sweep to the network's bird's-eye map of counts (spec 2.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import LidarFrame, SensorFrame

MIN_HEIGHT_M = 0.2
MAX_HEIGHT_M = 100.0
MAX_COUNT = 5
"""Points per cell that count."""


def height_histogram(points: NDArray[np.float64], cells: int, extent: float) -> NDArray[np.float32]:
    """Points (n, 3) in base_link, ground at z = 0 -> [1, cells, cells] in 0..1, by steps of 0.2.

    Row = x from -extent (behind) to +extent, column = y from -extent (right) to +extent. Counts of the points above the
    ground (0.2 m < z < 100 m), at most 5 per cell. Lower edges belong to a cell, upper ones to the next, the very last
    edge to the last cell.
    """
    kept = points[(points[:, 2] > MIN_HEIGHT_M) & (points[:, 2] < MAX_HEIGHT_M)]
    kept = kept[(np.abs(kept[:, :2]) <= extent).all(axis=1)]
    index = np.floor((kept[:, :2] + extent) * (cells / (2 * extent))).astype(np.int64).clip(0, cells - 1)
    counts = np.bincount(index[:, 0] * cells + index[:, 1], minlength=cells * cells).reshape(1, cells, cells)
    return np.minimum(counts, MAX_COUNT).astype(np.float32) / np.float32(MAX_COUNT)


def points_in_base(frame: SensorFrame, lidar: LidarFrame) -> NDArray[np.float64]:
    """Finite points (n, 3) of the sweep in base_link at the set's stamp. Drivers report no return as NaN.

    Raises:
        SensorDataError: no finite point is left.
    """
    points = lidar.points[:, :3].astype(np.float64)
    finite = points[np.isfinite(points).all(axis=1)]
    if not len(finite):
        raise SensorDataError(
            f"LiDAR {lidar.name} delivered {len(points)} points, none of them finite; check the sensor and its driver"
        )
    base_from_lidar = inverse(frame.world_from_base) @ lidar.world_from_base @ lidar.base_from_lidar
    return np.asarray(transform_points(base_from_lidar, finite))
