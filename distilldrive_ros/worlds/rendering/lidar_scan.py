"""A turn of the LiDAR, from pictures of which face each direction meets, and the planes of these faces.

A picture only tells the face; the distance is that of the beam to the face's plane, exact at any range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.lidar import (
    DROPPED_SHARE,
    HIGHEST_DEG,
    LOWEST_DEG,
    RANGE_M,
    RANGE_NOISE_M,
    beam_directions,
)
from distilldrive_ros.worlds.rendering.display import Display, ViewTarget, draw

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

SIDES = 4
SIDE_WIDTH = 512
# Where a beam just misses the face that the pixel beside it met, its distance is taken from that pixel's own ray.
AGREEMENT, AGREEMENT_M = 0.02, 0.15
# Faint returns are lost with distance: half of those of reflectivity 0 beyond this, m.
FAINT_M, FAINT_REFLECTIVITY = 55.0, 12.0
MIN_RANGE_M = 1.5


@dataclass(frozen=True)
class LidarSweep:
    """`points` float32 (N, 5): x, y, z m in the LiDAR's frame, intensity 0 to 255, ring; `agent_ids` (N,), -1: none."""

    points: NDArray[np.float32]
    agent_ids: Ids


@dataclass(frozen=True)
class FacePlanes:
    """What a picture's face numbers mean: world planes (F, 4) (n · p = c), agent ids and reflectivities (F,)."""

    planes: Array
    agent_ids: Ids
    reflectivity: Array


class LidarScanner:
    """The four sides of the LiDAR's view as pictures of a scene of faces."""

    def __init__(self, root: Any, base_from_lidar: Array, display: Display | None) -> None:
        """Make the pictures of `root` (`NodePath`).

        Raises:
            WorldError: the display fails.
        """
        self._base_from_lidar = base_from_lidar
        low = math.tan(math.radians(LOWEST_DEG - 1)) * math.sqrt(2)
        high = math.tan(math.radians(HIGHEST_DEG + 1)) * math.sqrt(2)
        scale = SIDE_WIDTH / 2
        height = math.ceil((high - low) * scale)
        self._intrinsics = np.array([[scale, 0, scale - 0.5], [0, scale, high * scale - 0.5], [0, 0, 1.0]])
        self._lidar_from_side = [_side_pose(k) for k in range(SIDES)]
        self._targets = [ViewTarget(root, SIDE_WIDTH, height, 0, display) for _ in range(SIDES)]
        self._directions, self._rings = beam_directions()
        self._pixels, self._pixel_rays = self._find_pixels(height)

    def _find_pixels(self, height: int) -> tuple[Ids, Array]:
        """For each beam: index into the stacked pictures, and the direction (3,) of that pixel's middle."""
        index = np.zeros(len(self._directions), np.int64)
        rays = np.zeros_like(self._directions)
        azimuth = np.arctan2(self._directions[:, 1], self._directions[:, 0])
        nearest = np.rint(azimuth / (2 * math.pi / SIDES)).astype(int) % SIDES
        for side, pose in enumerate(self._lidar_from_side):
            mine = np.flatnonzero(nearest == side)
            local = self._directions[mine] @ pose[:3, :3]
            flat = np.rint(local @ self._intrinsics.T / local[:, 2:])
            u, v = np.clip(flat[:, 0], 0, SIDE_WIDTH - 1), np.clip(flat[:, 1], 0, height - 1)
            index[mine] = ((side * height + v) * SIDE_WIDTH + u).astype(np.int64)
            back = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(self._intrinsics).T
            rays[mine] = (back / np.linalg.norm(back, axis=1, keepdims=True)) @ pose[:3, :3].T
        return index, rays

    def scan(self, world_from_base: Array, planes_of: Any, rng: np.random.Generator) -> LidarSweep:
        """One turn from a pose; `planes_of(face numbers (n,)) -> FacePlanes` looks up what was met."""
        world_from_lidar = world_from_base @ self._base_from_lidar
        for target, pose in zip(self._targets, self._lidar_from_side, strict=True):
            target.aim(world_from_lidar @ pose, self._intrinsics)
        pictures = np.concatenate(draw(self._targets)).reshape(-1, 3)[self._pixels].astype(np.int64)
        faces = pictures @ np.array([1 << 16, 1 << 8, 1])
        met = np.flatnonzero(faces)
        known = planes_of(faces[met])
        turn = world_from_lidar[:3, :3]
        distance, incidence = _distances(
            known.planes, world_from_lidar[:3, 3], self._directions[met] @ turn.T, self._pixel_rays[met] @ turn.T
        )
        intensity = known.reflectivity * (0.35 + 0.65 * incidence)
        lost = rng.random(len(met)) < _loss(distance, intensity)
        kept = (distance > MIN_RANGE_M) & (distance < RANGE_M) & ~lost
        met, distance, intensity = met[kept], distance[kept], intensity[kept]
        measured = distance + rng.normal(0.0, RANGE_NOISE_M, len(distance))
        local = self._directions[met] * measured[:, None]
        seen = np.clip(np.rint(intensity + rng.normal(0.0, 2.0, len(met))), 0, 255)
        points = np.column_stack([local, seen, self._rings[met]]).astype(np.float32)
        return LidarSweep(points, known.agent_ids[kept])

    def close(self) -> None:
        """Free the pictures."""
        for target in self._targets:
            target.close()


def _side_pose(side: int) -> Array:
    """4x4, optical frame of a side's picture to the LiDAR's frame; sides lie at multiples of 90° from +x."""
    azimuth = side * 2 * math.pi / SIDES
    c, s = math.cos(azimuth), math.sin(azimuth)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([(s, -c, 0.0), (0.0, 0.0, -1.0), (c, s, 0.0)])
    return pose


def _distances(planes: Array, origin: Array, rays: Array, pixel_rays: Array) -> tuple[Array, Array]:
    """Distance (n,) along the rays to their planes, and the cosine of incidence (n,)."""
    height = planes[:, 3] - planes[:, :3] @ origin
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = height / (planes[:, :3] * rays).sum(1)
        near = height / (planes[:, :3] * pixel_rays).sum(1)
    level = planes[:, 2] > 0.999  # the ground has no edge that a beam could miss
    good = np.isfinite(exact) & (level | (np.abs(exact - near) <= AGREEMENT * np.abs(near) + AGREEMENT_M))
    distance = np.where(good, exact, near)
    cosine = np.abs((planes[:, :3] * rays).sum(1))
    return np.where(np.isfinite(distance), distance, -1.0), cosine


def _loss(distance: Array, intensity: Array) -> Array:
    """Probability (n,) that a return is not heard."""
    faint = np.clip(1 - intensity / FAINT_REFLECTIVITY, 0, 1) * np.clip((distance - FAINT_M / 2) / FAINT_M, 0, 1)
    return DROPPED_SHARE + (1 - DROPPED_SHARE) * faint
