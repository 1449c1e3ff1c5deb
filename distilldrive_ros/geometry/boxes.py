"""Oriented boxes with a heading: corners, edges and which points lie inside.

A box is (x, y, z, length, width, height, yaw): centre in metres, sizes in metres with the length along the heading,
yaw in radians counter-clockwise from +x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Pairs of corner indices of `box_corners` that form the twelve edges.
BOX_EDGES = (
    (0, 1), (1, 2), (2, 3), (3, 0),
    (4, 5), (5, 6), (6, 7), (7, 4),
    (0, 4), (1, 5), (2, 6), (3, 7),
)  # fmt: skip


def ground_corners(boxes: ArrayLike) -> Array:
    """Bird's-eye corners (N, 4, 2) of boxes (N, 7): front left, front right, rear right, rear left."""
    b = np.atleast_2d(np.asarray(boxes, np.float64))
    unit = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]])
    local = unit[None] * b[:, None, 3:5]
    c, s = np.cos(b[:, 6])[:, None], np.sin(b[:, 6])[:, None]
    x = c * local[..., 0] - s * local[..., 1] + b[:, None, 0]
    y = s * local[..., 0] + c * local[..., 1] + b[:, None, 1]
    return np.stack([x, y], axis=-1)


def box_corners(boxes: ArrayLike) -> Array:
    """Corners (N, 8, 3) of boxes (N, 7): the four of `ground_corners` at the bottom, then the same at the top."""
    b = np.atleast_2d(np.asarray(boxes, np.float64))
    flat = ground_corners(b)
    bottom = np.repeat((b[:, 2] - b[:, 5] / 2)[:, None], 4, axis=1)
    top = bottom + b[:, 5][:, None]
    return np.concatenate(
        [np.concatenate([flat, bottom[..., None]], -1), np.concatenate([flat, top[..., None]], -1)], axis=1
    )


def points_in_box(box: ArrayLike, points: ArrayLike) -> NDArray[np.bool_]:
    """Which of the points (N, 3) lie inside or on a box (7,)."""
    b, p = np.asarray(box, np.float64), np.asarray(points, np.float64)
    offset = p - b[:3]
    c, s = np.cos(b[6]), np.sin(b[6])
    local = np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1], offset[:, 2]], -1)
    return np.asarray((np.abs(local) <= b[3:6] / 2 + 1e-9).all(axis=1))
