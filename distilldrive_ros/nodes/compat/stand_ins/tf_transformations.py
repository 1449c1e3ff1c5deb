"""Stands in for ROS's `tf_transformations`: quaternions (x, y, z, w) and 4x4 matrices."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.poses import quaternion_from_rotation, rotation_from_quaternion

Array = NDArray[np.float64]


def quaternion_matrix(quaternion: ArrayLike) -> Array:
    """4x4 homogeneous rotation matrix of a quaternion (x, y, z, w); it need not have unit length."""
    x, y, z, w = np.asarray(quaternion, np.float64)
    matrix = np.eye(4)
    if math.sqrt(x * x + y * y + z * z + w * w) >= 1e-9:  # as the real one: no rotation for a zero quaternion
        matrix[:3, :3] = rotation_from_quaternion((w, x, y, z))
    return matrix


def quaternion_from_matrix(matrix: ArrayLike) -> Array:
    """Quaternion (x, y, z, w) with w >= 0 of a rotation matrix (3, 3) or (4, 4)."""
    w, x, y, z = quaternion_from_rotation(np.asarray(matrix, np.float64)[:3, :3])
    return np.array([x, y, z, w])
