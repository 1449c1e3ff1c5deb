"""From base_link to the frame in which open-loop results are published: LiDAR origin, x right, y ahead (spec 2.1).

Published plans are the way of the LiDAR's origin, ours that of the rear axle: `models.distilldrive.adapter` turns the
one into the other, and `lidar_trajectories` turns back with the planned heading, exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def virtual_lidar() -> Array:
    """base_from_lidar (4, 4) of a vehicle whose bag names none: nuScenes' mounting, 0.94 m ahead, 1.84 m up."""
    return np.array([[0, 1, 0, 0.94], [-1, 0, 0, 0], [0, 0, 1, 1.84], [0, 0, 0, 1]], np.float64)


def lidar_trajectories(positions: ArrayLike, yaw: ArrayLike, base_from_lidar: Array) -> Array:
    """The way of the LiDAR's origin (..., T, 2), in the LiDAR frame of the start, of base_link poses.

    positions (..., T, 2) in metres and yaw (..., T) in radians are in base_link at the start.
    """
    p, heading = np.asarray(positions, np.float64), np.asarray(yaw, np.float64)
    lever = base_from_lidar[:2, 3]
    c, s = np.cos(heading), np.sin(heading)
    x = p[..., 0] + c * lever[0] - s * lever[1]
    y = p[..., 1] + s * lever[0] + c * lever[1]
    return _into_plane(np.stack([x, y], axis=-1), base_from_lidar)


def lidar_rectangles(boxes: ArrayLike, base_from_lidar: Array) -> Array:
    """Ground rectangles (N, 5) x, y, length, width, yaw in the LiDAR frame of boxes (N, 7) in base_link."""
    b = np.asarray(boxes, np.float64).reshape(-1, 7)
    centre = _into_plane(b[:, :2], base_from_lidar)
    ahead = np.stack([np.cos(b[:, 6]), np.sin(b[:, 6])], axis=-1) @ np.linalg.inv(base_from_lidar[:2, :2]).T
    return np.concatenate([centre, b[:, 3:5], np.arctan2(ahead[:, 1], ahead[:, 0])[:, None]], axis=1)


def _into_plane(points: Array, base_from_lidar: Array) -> Array:
    """Inverse of the planar map that the adapter applies to points at height 0 of the LiDAR frame."""
    return np.asarray((points - base_from_lidar[:2, 3]) @ np.linalg.inv(base_from_lidar[:2, :2]).T)
