"""Pinhole projection. Camera frames are optical: x right, y down, z forward (REP-103)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

NEAR_PLANE_M = 0.1


def project_points(intrinsics: ArrayLike, camera_from_source: ArrayLike, points: ArrayLike) -> tuple[Array, Array]:
    """Pixels (N, 2) and depths (N,) in metres of points (N, 3); pixels of points nearer than the near plane are NaN."""
    k, pose = np.asarray(intrinsics, np.float64), np.asarray(camera_from_source, np.float64)
    camera = np.asarray(points, np.float64) @ pose[:3, :3].T + pose[:3, 3]
    depth = camera[:, 2]
    pixels = np.full((len(camera), 2), np.nan)
    ahead = depth > NEAR_PLANE_M
    homogeneous = camera[ahead] @ k.T
    pixels[ahead] = homogeneous[:, :2] / homogeneous[:, 2:]
    return pixels, depth


def clip_segment_to_near_plane(start: ArrayLike, end: ArrayLike, near: float = NEAR_PLANE_M) -> Array | None:
    """The part (2, 3) of a segment in the camera frame that lies in front of the near plane, or None."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if a[2] < near and b[2] < near:
        return None
    if a[2] < near or b[2] < near:
        fraction = (near - a[2]) / (b[2] - a[2])
        crossing = a + fraction * (b - a)
        a, b = (crossing, b) if a[2] < near else (a, crossing)
    return np.stack([a, b])
