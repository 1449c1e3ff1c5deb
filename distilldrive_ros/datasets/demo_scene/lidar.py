"""A spinning roof LiDAR of 32 beams, cast against the ground and upright boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.ground import Ground
from distilldrive_ros.geometry.poses import inverse, transform_points

Array = NDArray[np.float64]

BEAMS = 32
AZIMUTHS = 1084
LOWEST_DEG, HIGHEST_DEG = -30.67, 10.67
RANGE_M = 90.0
RANGE_NOISE_M = 0.012
DROPPED_SHARE = 0.01
NO_OWNER = -1


@dataclass(frozen=True)
class Sweep:
    """One turn of the LiDAR.

    `points` float32 (n, 5): x, y, z in the sensor frame (m), intensity (0 to 255), ring. `visible` (m,): the share of
    the beams towards each owner that nothing else stops; NaN where no beam points at it.
    """

    points: NDArray[np.float32]
    visible: Array


def cast_sweep(
    world_from_lidar: Array,
    ground: Ground,
    blocks: Array,
    owners: NDArray[np.int64],
    reflectivity: Array,
    owner_count: int,
    rng: np.random.Generator,
) -> Sweep:
    """Cast all beams against the ground and the blocks (n, 7) of the world.

    `owners` (n,): whose block it is, below `owner_count`, or NO_OWNER. `reflectivity` (n,): 0 to 255.
    """
    directions, rings = beam_directions()
    rays = directions @ world_from_lidar[:3, :3].T
    origin = world_from_lidar[:3, 3]
    with np.errstate(divide="ignore"):
        best = np.where(rays[:, 2] < -1e-6, -origin[2] / rays[:, 2], np.inf)
    hit_block = np.full(len(rays), -1)
    reach = np.hypot(blocks[:, 0] - origin[0], blocks[:, 1] - origin[1]) - np.hypot(blocks[:, 3], blocks[:, 4]) / 2
    touched: list[NDArray[np.bool_]] = [np.zeros(len(rays), bool) for _ in range(owner_count)]
    for index in np.flatnonzero(reach < RANGE_M):
        distance = _box_distance(origin, rays, blocks[index])
        nearer = distance < best
        best[nearer] = distance[nearer]
        hit_block[nearer] = index
        if owners[index] != NO_OWNER:
            touched[owners[index]] |= distance < RANGE_M
    aimed = np.array([mask.sum() for mask in touched], np.float64)
    hit_owner = np.where(hit_block >= 0, owners[hit_block], NO_OWNER)
    seen = np.bincount(hit_owner[hit_owner >= 0], minlength=owner_count).astype(np.float64)
    visible = np.where(aimed > 0, seen / np.maximum(aimed, 1), np.nan)
    kept = (best < RANGE_M) & (rng.random(len(best)) >= DROPPED_SHARE)
    distance = best[kept] + rng.normal(0.0, RANGE_NOISE_M, int(kept.sum()))
    world = origin + rays[kept] * distance[:, None]
    on_ground = hit_block[kept] < 0
    intensity = reflectivity[np.maximum(hit_block[kept], 0)]
    intensity[on_ground] = ground.intensities(world[on_ground, 0], world[on_ground, 1])
    intensity = np.clip(np.rint(intensity + rng.normal(0.0, 2.0, len(intensity))), 0, 255)
    local = transform_points(inverse(world_from_lidar), world)
    return Sweep(np.column_stack([local, intensity, rings[kept]]).astype(np.float32), visible)


def beam_directions() -> tuple[Array, Array]:
    """Unit directions (n, 3) in the sensor frame and rings (n,): all rings of an azimuth, clockwise from behind."""
    elevation = np.radians(np.linspace(LOWEST_DEG, HIGHEST_DEG, BEAMS))
    azimuth = -math.pi / 2 - np.arange(AZIMUTHS) * (2 * math.pi / AZIMUTHS)
    a, e = (grid.ravel() for grid in np.meshgrid(azimuth, elevation, indexing="ij"))
    directions = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
    return directions, np.tile(np.arange(BEAMS, dtype=np.float64), AZIMUTHS)


def _box_distance(origin: Array, rays: Array, box: Array) -> Array:
    """Distance (n,) at which rays (n, 3) from `origin` enter a box (7,); infinite where they miss it (slab test)."""
    c, s = math.cos(box[6]), math.sin(box[6])
    offset = origin - box[:3]
    start = np.array([c * offset[0] + s * offset[1], -s * offset[0] + c * offset[1], offset[2]])
    along = np.stack([c * rays[:, 0] + s * rays[:, 1], -s * rays[:, 0] + c * rays[:, 1], rays[:, 2]])
    along = np.where(np.abs(along) < 1e-12, 1e-12, along)
    half = (box[3:6] / 2)[:, None]
    first, second = (-half - start[:, None]) / along, (half - start[:, None]) / along
    enter = np.minimum(first, second).max(axis=0)
    leave = np.maximum(first, second).min(axis=0)
    return np.where((enter <= leave) & (enter > 0.0), enter, np.inf)
