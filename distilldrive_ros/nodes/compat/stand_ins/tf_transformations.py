"""Stands in for ROS's `tf_transformations`: quaternions (x, y, z, w), Euler angles and 4x4 matrices."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.poses import quaternion_from_rotation, rotation_from_quaternion

Array = NDArray[np.float64]


def _only_static_xyz(axes: str) -> None:
    if axes != "sxyz":
        raise ValueError(f"axes {axes!r}: only 'sxyz' without the real tf_transformations package")


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


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Array:
    """Quaternion (x, y, z, w) of roll, pitch and yaw about the fixed axes x, y, z, in radians."""
    _only_static_xyz(axes)
    (ci, si), (cj, sj), (ck, sk) = ((math.cos(a / 2), math.sin(a / 2)) for a in (ai, aj, ak))
    return np.array(
        [
            si * cj * ck - ci * sj * sk,
            ci * sj * ck + si * cj * sk,
            ci * cj * sk - si * sj * ck,
            ci * cj * ck + si * sj * sk,
        ]
    )


def euler_from_quaternion(quaternion: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """Roll, pitch and yaw about the fixed axes x, y, z, in radians, of a quaternion (x, y, z, w)."""
    _only_static_xyz(axes)
    m = quaternion_matrix(quaternion)
    horizontal = math.hypot(m[0, 0], m[1, 0])
    pitch = math.atan2(-m[2, 0], horizontal)
    if horizontal > 1e-12:
        return math.atan2(m[2, 1], m[2, 2]), pitch, math.atan2(m[1, 0], m[0, 0])
    return math.atan2(-m[1, 2], m[1, 1]), pitch, 0.0
