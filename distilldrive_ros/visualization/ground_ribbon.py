"""Paths as bands on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_SHORTEST_M = 1e-3
_LONGEST_MITRE = 2.5


def ribbon_quads(line: ArrayLike, width: float, height: float = 0.0) -> Array:
    """Quadrilaterals (m, 4, 3) of a band of that width (m) about a line (n, 2), at `height` above the ground.

    Neighbours share their edge (mitred, bounded at sharp bends); points that coincide are
    merged, so m <= n - 1 and may be 0.
    """
    points = _without_repeats(np.asarray(line, np.float64))
    if len(points) < 2:
        return np.empty((0, 4, 3))
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1)
    before, after = np.vstack([normals[:1], normals]), np.vstack([normals, normals[-1:]])
    mitre = before + after
    length = np.maximum(np.linalg.norm(mitre, axis=1, keepdims=True), 1e-6)
    mitre = mitre / length
    stretch = 1.0 / np.maximum((mitre * after).sum(axis=1, keepdims=True), 1.0 / _LONGEST_MITRE)
    offset = mitre * stretch * (width / 2)
    left, right = points + offset, points - offset
    flat = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    return np.concatenate([flat, np.full((*flat.shape[:2], 1), height)], axis=2)


def _without_repeats(points: Array) -> Array:
    kept = [points[0]]
    for point in points[1:]:
        if np.linalg.norm(point - kept[-1]) > _SHORTEST_M:
            kept.append(point)
    return np.array(kept)
