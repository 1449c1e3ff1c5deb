"""Annotated road users of a key frame in the network's frame: boxes, classes, what they do next (spec 2.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.boxes import SceneBoxes
from distilldrive_ros.geometry.poses import rotate_vectors, transform_points

MAX_DISTANCE_M = 55.0
"""Road users farther from the LiDAR than this, in the ground plane, are no targets."""


@dataclass(frozen=True)
class AgentArrays:
    """N road users, one or more key frames: the arrays behind `training.batch.AgentTargets`.

    boxes (N, 9) float32: x, y, z, length, width, height (m), yaw [-pi, pi), vx, vy (m/s, 0 where unknown). labels,
    ids (N,) int64. offsets (N, T, 2) float32: displacement per step of 0.5 s, the first from the box centre (m), 0
    where not `valid` (N, T) float32.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    offsets: NDArray[np.float32]
    valid: NDArray[np.float32]


def agent_arrays(boxes: SceneBoxes, key_frame: int, lidar_from_world: NDArray[np.float64]) -> AgentArrays:
    """Road users within `MAX_DISTANCE_M` that at least one LiDAR point fell on.

    A future counts up to the first step that nobody annotated: the sum of the offsets is then a place at every valid
    step.
    """
    rows = boxes.of_sample(key_frame)
    centers = transform_points(lidar_from_world, boxes.centers[rows])
    kept = (np.hypot(centers[:, 0], centers[:, 1]) <= MAX_DISTANCE_M) & (boxes.lidar_points[rows] > 0)
    centers = centers[kept]
    forward = rotate_vectors(lidar_from_world, _forward_axes(boxes.rotations[rows][kept]))
    yaw = np.arctan2(forward[:, 1], forward[:, 0])
    yaw = np.where(yaw >= np.pi, -np.pi, yaw)
    velocity = np.nan_to_num(rotate_vectors(lidar_from_world, boxes.velocities[rows][kept])[:, :2])
    futures = transform_points(lidar_from_world, boxes.futures[rows][kept])[..., :2]
    valid = np.logical_and.accumulate(np.isfinite(futures).all(axis=-1), axis=1)
    places = np.concatenate([centers[:, None, :2], np.where(valid[..., None], futures, 0.0)], axis=1)
    offsets = np.where(valid[..., None], np.diff(places, axis=1), 0.0)
    columns = np.concatenate([centers, boxes.sizes[rows][kept], yaw[:, None], velocity], axis=1)
    return AgentArrays(
        columns.astype(np.float32),
        boxes.classes[rows][kept],
        boxes.ids[rows][kept],
        offsets.astype(np.float32),
        valid.astype(np.float32),
    )


def _forward_axes(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The x axes (N, 3) of rotations (N, 4) (w, x, y, z) of unit length."""
    w, x, y, z = quaternions.T
    return np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)], axis=-1)
