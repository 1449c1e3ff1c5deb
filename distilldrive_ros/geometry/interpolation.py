"""Interpolation of poses between two instants."""

from __future__ import annotations

import math

from distilldrive_ros.geometry.poses import Matrix, pose_matrix, quaternion_from_rotation


def interpolate_pose(first: Matrix, second: Matrix, fraction: float) -> Matrix:
    """Pose between two 4x4 poses: linear in translation, spherical linear in rotation, by the shorter way.

    A fraction below 0 or above 1 extrapolates with the same velocity; the caller decides how far that may go.
    """
    q0 = quaternion_from_rotation(first[:3, :3]).tolist()
    q1 = quaternion_from_rotation(second[:3, :3]).tolist()
    cosine = sum(a * b for a, b in zip(q0, q1, strict=True))
    if cosine < 0:
        q1, cosine = [-v for v in q1], -cosine
    angle = math.acos(min(1.0, cosine))
    if angle < 1e-6:
        w0, w1 = 1 - fraction, fraction
    else:
        w0, w1 = (math.sin((1 - fraction) * angle) / math.sin(angle), math.sin(fraction * angle) / math.sin(angle))
    q = [w0 * a + w1 * b for a, b in zip(q0, q1, strict=True)]
    return pose_matrix((1 - fraction) * first[:3, 3] + fraction * second[:3, 3], q)
