"""LiDAR sweeps as nuScenes stores them: `.pcd.bin`, float32 rows of x, y, z (m), intensity (0 to 255), ring index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.errors import DatasetError

COLUMNS = 5


def points_of(content: bytearray | memoryview, source: Path) -> NDArray[np.float32]:
    """Points (N, 5) of a sweep, in the sensor frame: a writable view of the file's content.

    Raises:
        DatasetError: the content is no whole number of points.
    """
    if len(content) % (4 * COLUMNS):
        raise DatasetError(
            f"LiDAR file {source} is damaged: {len(content)} bytes are no whole number of points of {4 * COLUMNS}; "
            "copy it again"
        )
    return np.frombuffer(content, np.float32).reshape(-1, COLUMNS)
