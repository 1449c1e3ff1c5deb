"""The network's own coordinate frame on a vehicle (spec 2.1 and 17): LiDAR origin, x right, y forward, z up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import yaw_of
from distilldrive_ros.scene.sensor_frame import LidarFrame

Matrix = NDArray[np.float64]

_LIDAR_HEIGHT = 1.84
_LIDAR_AHEAD = 0.94
_MAX_HEADING_ERROR = math.radians(10.0)
_MAX_TILT = math.radians(5.0)
_MAX_HEIGHT_ERROR = 0.5
_MIN_AHEAD = 0.3


def virtual_lidar() -> Matrix:
    """base_from_lidar [4, 4] of the LiDAR the network was trained with: 1.84 m up, 0.94 m ahead of the rear axle."""
    return np.array([[0, 1, 0, _LIDAR_AHEAD], [-1, 0, 0, 0], [0, 0, 1, _LIDAR_HEIGHT], [0, 0, 0, 1]], np.float64)


def network_frame(lidar: LidarFrame | None) -> Matrix:
    """base_from_network [4, 4]: the vehicle's own LiDAR where it is mounted as on the training vehicle, else the
    virtual one.

    Anchors, ground height and map region assume that mounting: heading within 10 degrees, tilt within 5 degrees,
    height within 0.5 m. A change from set to set does no harm, for poses of the network frame in the world carry it.
    """
    if lidar is None or not _mounted_as_trained(lidar.base_from_lidar):
        return virtual_lidar()
    return lidar.base_from_lidar


def _mounted_as_trained(base_from_lidar: Matrix) -> bool:
    heading_error = math.remainder(yaw_of(base_from_lidar) + math.pi / 2, 2 * math.pi)
    upright = base_from_lidar[2, 2] >= math.cos(_MAX_TILT)
    height_error = abs(base_from_lidar[2, 3] - _LIDAR_HEIGHT)
    ahead = base_from_lidar[0, 3] >= _MIN_AHEAD
    return bool(upright and ahead and abs(heading_error) <= _MAX_HEADING_ERROR and height_error <= _MAX_HEIGHT_ERROR)
