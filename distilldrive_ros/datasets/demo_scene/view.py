"""What a painted camera sees of a plane world: rays, and projected points clipped at the near plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import inverse

Array = NDArray[np.float64]
Image32 = NDArray[np.float32]

NEAR_M = 0.15


@dataclass(frozen=True)
class View:
    """A pinhole camera in the world: K (3, 3) px, pose 4x4, image size; the horizon lies level (no roll)."""

    intrinsics: Array
    world_from_camera: Array
    width: int
    height: int

    @property
    def position(self) -> Array:
        """World place of the camera (3,)."""
        return np.asarray(self.world_from_camera[:3, 3])

    @cached_property
    def camera_from_world(self) -> Array:
        """World to the optical frame, 4x4."""
        return inverse(self.world_from_camera)

    @property
    def horizon_row(self) -> int:
        """First image row that looks below the horizon."""
        k, turn = self.intrinsics, self.world_from_camera[:3, :3]
        # World z of the ray through row v is linear in v; without roll it does not depend on the column.
        slope = turn[2, 1] / k[1, 1]
        start = turn[2, 2] - turn[2, 1] * k[1, 2] / k[1, 1]
        return int(np.clip(np.floor(-start / slope) + 1, 0, self.height)) if slope < 0 else self.height

    def rays(self, first_row: int, last_row: int) -> tuple[Image32, Image32, Image32]:
        """World directions x, y (rows, width) and z (rows, 1) of the pixels of some rows, not normalised."""
        k, turn = self.intrinsics, self.world_from_camera[:3, :3]
        u = ((np.arange(self.width) - k[0, 2]) / k[0, 0])[None, :]
        v = ((np.arange(first_row, last_row) - k[1, 2]) / k[1, 1])[:, None]
        x, y = (turn[i, 0] * u + turn[i, 1] * v + turn[i, 2] for i in (0, 1))
        z = turn[2, 1] * v + turn[2, 2]
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def project(self, camera_points: Array) -> Array:
        """Pixels (N, 2) of points in the optical frame with positive depth."""
        k = self.intrinsics
        return np.asarray(camera_points[:, :2] / camera_points[:, 2:] * (k[0, 0], k[1, 1]) + (k[0, 2], k[1, 2]))

    def polygon(self, camera_points: Array) -> Array | None:
        """Pixels (n, 2) of a polygon in the optical frame, cut at the near plane; None where nothing is left."""
        inside = camera_points[:, 2] >= NEAR_M
        if inside.all():
            return self.project(camera_points)
        if not inside.any():
            return None
        kept: list[Array] = []
        for i, point in enumerate(camera_points):
            before = camera_points[i - 1]
            if inside[i] != inside[i - 1]:
                kept.append(before + (NEAR_M - before[2]) / (point[2] - before[2]) * (point - before))
            if inside[i]:
                kept.append(point)
        return self.project(np.array(kept)) if len(kept) >= 3 else None
