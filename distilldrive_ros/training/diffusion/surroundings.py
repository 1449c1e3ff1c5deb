"""Road users as DiffusionDrive learns them: the nearest vehicles, and the shapes on its map (its spec, section 2.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.boxes import SceneBoxes
from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.geometry.poses import rotation_from_quaternion, transform_points
from distilldrive_ros.models.diffusiondrive.config import AGENT_SIZE
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.diffusion.map_picture import PEDESTRIAN, STATIC_OBJECT, VEHICLE

Array = NDArray[np.float64]

VEHICLES = ("car", "truck", "construction_vehicle", "bus", "trailer")
"""What the official annotations call a vehicle; two-wheelers are neither among the agents nor on the map."""

CLASS_ON_MAP = {
    **dict.fromkeys(VEHICLES, VEHICLE),
    "barrier": STATIC_OBJECT,
    "traffic_cone": STATIC_OBJECT,
    "pedestrian": PEDESTRIAN,
}
"""Class on the map of everything that is painted."""


def boxes_in_base(boxes: SceneBoxes, key_frame: int, base_from_world: Array) -> tuple[Array, NDArray[np.int64]]:
    """All boxes of a key frame (n, 7) in base_link: x, y, z, length, width, height, yaw; and their classes (n,)."""
    rows = boxes.of_sample(key_frame)
    centers = transform_points(base_from_world, boxes.centers[rows])
    forward = np.array([rotation_from_quaternion(q)[:, 0] for q in boxes.rotations[rows]]).reshape(-1, 3)
    ahead = forward @ base_from_world[:3, :3].T
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    return np.column_stack([centers, boxes.sizes[rows], yaw]), boxes.classes[rows]


def nearest_vehicles(
    boxes: Array, classes: NDArray[np.int64], count: int, reach: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The nearest vehicles within +-`reach` m, nearest first: x, y, heading, length, width (count, 5), zero beyond
    them, and present (count,)."""
    is_vehicle = np.isin(classes, [CLASS_NAMES.index(name) for name in VEHICLES])
    kept = boxes[is_vehicle & (np.abs(boxes[:, :2]) <= reach).all(axis=1)]
    order = np.argsort(np.hypot(kept[:, 0], kept[:, 1]), kind="stable")[:count]
    out = np.zeros((count, AGENT_SIZE), np.float32)
    out[: len(order)] = kept[order][:, [0, 1, 6, 3, 4]]
    return out, np.arange(count) < len(order)


def map_shapes(boxes: Array, classes: NDArray[np.int64]) -> list[tuple[int, Array]]:
    """Class on the map and corners (4, 2) of every box that is painted, in the order of painting."""
    values = [CLASS_ON_MAP.get(CLASS_NAMES[index]) for index in classes]
    corners = ground_corners(boxes) if len(boxes) else ()
    shapes = [(value, shape) for value, shape in zip(values, corners, strict=True) if value is not None]
    return sorted(shapes, key=lambda shape: shape[0])
