"""Sparse depth images from a LiDAR sweep, the targets of the depth branch (spec 2.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.training.batch import DEPTH_STRIDES, NO_DEPTH

MIN_DEPTH_M, MAX_DEPTH_M = 0.1, 60.0


def sparse_depth(
    points: NDArray[np.float32], projection: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float32], ...]:
    """Depth images (C, height / s, width / s) in metres for s of `DEPTH_STRIDES`, `NO_DEPTH` where no point fell.

    Of several points in a cell the nearest counts; depths are clipped to 0.1 to 60 m. Points behind a camera are
    left out.

    Args:
        points: (N, 3) in the network's frame, metres.
        projection: (C, 4, 4), (x, y, z, 1) to (u d, v d, d, 1) in pixels of the network's image.
        width: of that image.
        height: of that image.
    """
    homogeneous = np.concatenate([points.astype(np.float64), np.ones((len(points), 1))], axis=1)
    levels = tuple(np.full((len(projection), height // s, width // s), NO_DEPTH, np.float32) for s in DEPTH_STRIDES)
    for camera, matrix in enumerate(projection):
        u, v, depth = (homogeneous @ matrix[:3].T).T
        ahead = np.isfinite(depth) & (depth > MIN_DEPTH_M)
        u, v, depth = u[ahead] / depth[ahead], v[ahead] / depth[ahead], depth[ahead]
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        # Far points first: of equal cells the last assignment stays.
        order = np.argsort(-depth[inside], kind="stable")
        u, v, depth = (values[inside][order] for values in (u, v, np.minimum(depth, MAX_DEPTH_M)))
        for level, stride in zip(levels, DEPTH_STRIDES, strict=True):
            rows, columns = (v // stride).astype(np.int64), (u // stride).astype(np.int64)
            whole = (rows < level.shape[1]) & (columns < level.shape[2])
            level[camera, rows[whole], columns[whole]] = depth[whole]
    return levels
