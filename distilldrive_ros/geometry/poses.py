"""Rigid transforms as 4x4 float64 matrices, named `target_from_source`: `p_target = target_from_source @ p_source`.

Quaternions are (w, x, y, z) here, as in nuScenes; ROS messages hold (x, y, z, w) and are turned at the message border.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]


def rotation_from_quaternion(wxyz: ArrayLike) -> Matrix:
    """3x3 rotation of a quaternion (w, x, y, z); it need not have unit length.

    Raises:
        ValueError: the quaternion is zero or not finite.
    """
    q = np.asarray(wxyz, np.float64)
    # Plain floats: for four numbers several times faster than arrays, and poses come by the hundred per second.
    values = q.tolist()
    norm = math.hypot(*values) if q.shape == (4,) else 0.0
    if not math.isfinite(norm) or norm < 1e-9:
        raise ValueError(f"not a rotation: quaternion (w, x, y, z) = {values}")
    w, x, y, z = (v / norm for v in values)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: ArrayLike) -> Matrix:
    """Unit quaternion (w, x, y, z) with w >= 0 of a 3x3 rotation (Shepperd's method: no cancellation at any angle)."""
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = np.asarray(rotation, np.float64).tolist()
    four_squared = (1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22)
    largest = max(range(4), key=four_squared.__getitem__)
    s = 2 * math.sqrt(four_squared[largest])
    a, b, c = m21 - m12, m02 - m20, m10 - m01
    d, e, f = m01 + m10, m02 + m20, m12 + m21
    q = ((s * s / 4, a, b, c), (a, s * s / 4, d, e), (b, d, s * s / 4, f), (c, e, f, s * s / 4))[largest]
    norm = math.copysign(math.hypot(*q), q[0])
    return np.array([v / norm for v in q])


def pose_matrix(translation: ArrayLike, wxyz: ArrayLike) -> Matrix:
    """4x4 matrix of a translation (3,) in metres and a quaternion (w, x, y, z)."""
    out = np.eye(4)
    out[:3, :3] = rotation_from_quaternion(wxyz)
    out[:3, 3] = np.asarray(translation, np.float64)
    return out


def planar_pose(x: float, y: float, yaw: float) -> Matrix:
    """4x4 matrix of a pose in the ground plane: metres, radians counter-clockwise."""
    out = np.eye(4)
    c, s = math.cos(yaw), math.sin(yaw)
    out[:2, :2] = [[c, -s], [s, c]]
    out[:2, 3] = [x, y]
    return out


def inverse(pose: Matrix) -> Matrix:
    """Inverse of a rigid 4x4 matrix."""
    out = np.eye(4)
    out[:3, :3] = pose[:3, :3].T
    out[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return out


def transform_points(target_from_source: Matrix, points: ArrayLike) -> Matrix:
    """Points (..., 2 or 3) moved to the target frame; points in the plane lie at z = 0 and stay in the plane."""
    p = np.asarray(points, np.float64)
    d = p.shape[-1]
    return np.asarray(p @ target_from_source[:d, :d].T + target_from_source[:d, 3])


def rotate_vectors(target_from_source: Matrix, vectors: ArrayLike) -> Matrix:
    """Directions or velocities (..., 2 or 3) turned to the target frame."""
    v = np.asarray(vectors, np.float64)
    d = v.shape[-1]
    return np.asarray(v @ target_from_source[:d, :d].T)


def yaw_of(pose: Matrix) -> float:
    """Heading of the x axis in the ground plane, radians counter-clockwise in (-pi, pi]."""
    return math.atan2(pose[1, 0], pose[0, 0])


def wrap(angles: ArrayLike) -> Matrix:
    """Angles in [-pi, pi)."""
    return np.asarray((np.asarray(angles, np.float64) + np.pi) % (2 * np.pi) - np.pi)


def is_rigid(pose: ArrayLike, tolerance: float = 1e-4) -> bool:
    """Whether a 4x4 matrix is finite and a rotation with a translation."""
    m = np.asarray(pose, np.float64)
    if m.shape != (4, 4):
        return False
    *rows, last = m.tolist()
    (a, b, c), (d, e, f), (g, h, i) = (row[:3] for row in rows)
    if not all(map(math.isfinite, (row[3] for row in rows))):
        return False
    # Rows of unit length at right angles (NaN fails every comparison), right-handed.
    products = (
        a * a + b * b + c * c - 1, d * d + e * e + f * f - 1, g * g + h * h + i * i - 1,
        a * d + b * e + c * f, a * g + b * h + c * i, d * g + e * h + f * i,
    )  # fmt: skip
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    bottom = (last[0], last[1], last[2], last[3] - 1)
    return determinant > 0 and all(abs(value) <= tolerance for value in (*products, *bottom))
