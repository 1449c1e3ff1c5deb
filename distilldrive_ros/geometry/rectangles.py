"""Oriented rectangles in the plane, (x, y, length, width, yaw): corners and exact overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def rectangle_corners(rectangles: ArrayLike) -> Array:
    """Corners (..., 4, 2), clockwise from the rear left in a frame with y ahead, of rectangles (..., 5)."""
    r = np.asarray(rectangles, np.float64)
    along = r[..., 2, None] * np.array([-0.5, -0.5, 0.5, 0.5])
    across = r[..., 3, None] * np.array([-0.5, 0.5, 0.5, -0.5])
    c, s = np.cos(r[..., 4, None]), np.sin(r[..., 4, None])
    return np.stack([r[..., 0, None] + c * along - s * across, r[..., 1, None] + s * along + c * across], axis=-1)


def rectangles_overlap(first: ArrayLike, second: ArrayLike) -> NDArray[np.bool_]:
    """Whether rectangles (..., 5) and (..., 5), broadcast, share a point; touching borders do.

    Separating-axis test: two rectangles are apart exactly where one of their four edge directions separates them. A
    rectangle with NaN overlaps nothing.
    """
    a, b = np.broadcast_arrays(np.asarray(first, np.float64), np.asarray(second, np.float64))
    offset = b[..., :2] - a[..., :2]
    overlap = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    turn = b[..., 4] - a[..., 4]
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    for base, other in ((a, b), (b, a)):
        cos, sin = np.cos(base[..., 4]), np.sin(base[..., 4])
        ahead = np.abs(cos * offset[..., 0] + sin * offset[..., 1])
        aside = np.abs(cos * offset[..., 1] - sin * offset[..., 0])
        overlap = overlap & (ahead <= (base[..., 2] + c * other[..., 2] + s * other[..., 3]) / 2)
        overlap = overlap & (aside <= (base[..., 3] + s * other[..., 2] + c * other[..., 3]) / 2)
    return np.asarray(overlap)
