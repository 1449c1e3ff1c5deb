"""What of polygons and segments lies in front of a camera. Points are in its frame: x right, y down, z forward."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.cameras import NEAR_PLANE_M

Array = NDArray[np.float64]


def clip_polygon_to_near_plane(polygon: ArrayLike, near: float = NEAR_PLANE_M) -> Array:
    """The part (k, 3) of a planar polygon (n, 3) in a camera's frame with depth of at least `near`; k = 0 if none."""
    points = np.asarray(polygon, np.float64)
    kept: list[Array] = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] >= near:
            kept.append(start)
        if (start[2] >= near) != (end[2] >= near):
            kept.append(start + (near - start[2]) / (end[2] - start[2]) * (end - start))
    return np.array(kept) if len(kept) >= 3 else np.empty((0, 3))


def clip_segments_to_near_plane(segments: ArrayLike, near: float = NEAR_PLANE_M) -> Array:
    """The parts (k, 2, 3) of segments (n, 2, 3) with depth of at least `near`; those wholly nearer are left out."""
    pairs = np.asarray(segments, np.float64).reshape(-1, 2, 3)
    pairs = pairs[(pairs[:, :, 2] >= near).any(axis=1)].copy()
    start, end = pairs[:, 0].copy(), pairs[:, 1].copy()
    for side, other, place in ((start, end, 0), (end, start, 1)):
        hidden = side[:, 2] < near
        fraction = (near - side[hidden, 2]) / (other[hidden, 2] - side[hidden, 2])
        pairs[hidden, place] = side[hidden] + fraction[:, None] * (other[hidden] - side[hidden])
    return pairs
