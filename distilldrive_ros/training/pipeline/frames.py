"""One frame of one stream as a training batch: targets, pictures and depth under one augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.datasets.point_files import points_of
from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.models.distilldrive.preprocess import MEAN, STD
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.training.batch import AgentTargets, CameraBatch, EgoTargets, MapTargets, TrainingBatch
from distilldrive_ros.training.pipeline.augmentation import (
    View,
    apply_view,
    scene_turn,
    view_geometry,
    view_matrix,
)
from distilldrive_ros.training.pipeline.image_store import ImageStore
from distilldrive_ros.training.pipeline.photometric import distort
from distilldrive_ros.training.targets.depth import sparse_depth
from distilldrive_ros.training.targets.polylines import equivalent_orderings
from distilldrive_ros.training.targets.scene import SceneTargets

Matrix = NDArray[np.float64]

_MEAN, _STD = np.asarray(MEAN, np.float32), np.asarray(STD, np.float32)


@dataclass(frozen=True)
class ImageSettings:
    """Size of the network's images in pixels; `depth`: make depth targets of the LiDAR sweeps."""

    width: int
    height: int
    depth: bool = True


@dataclass(frozen=True)
class FrameLimits:
    """Most road users and polylines of a frame that the networks at work can take."""

    agents: int
    lines: int

    def check(self, scene: SceneTargets, key_frame: int) -> None:
        """Raises SensorDataError for a frame that holds more."""
        agents, lines = len(scene.agents(key_frame).labels), len(scene.map_lines(key_frame)[1])
        if agents > self.agents or lines > self.lines:
            raise SensorDataError(
                f"{agents} road users and {lines} polylines, the teacher takes {self.agents} and {self.lines}"
            )


def annotation_batch(scene: SceneTargets, key_frame: int, restart: bool, view: View) -> TrainingBatch:
    """Targets of a frame, without pictures."""
    turn = scene_turn(view)
    agents = scene.agents(key_frame)
    boxes = agents.boxes.copy()
    boxes[:, :3] = transform_points(turn, boxes[:, :3])
    boxes[:, 6] = (boxes[:, 6] + view.yaw + math.pi) % (2 * math.pi) - math.pi if view.yaw else boxes[:, 6]
    boxes[:, 7:9] = boxes[:, 7:9] @ turn[:2, :2].T
    lines, labels = scene.map_lines(key_frame)
    rotation = turn[:2, :2].T.astype(np.float32)
    return TrainingBatch(
        tokens=(f"{scene.name}/{scene.tokens[key_frame]}",),
        timestamp=torch.tensor([scene.stamps_ns[key_frame] * 1e-9], dtype=torch.float64),
        world_from_lidar=torch.from_numpy(scene.world_from_network[key_frame] @ inverse(turn))[None],
        restart=torch.tensor([restart]),
        agents=(
            AgentTargets(
                torch.from_numpy(boxes),
                torch.from_numpy(agents.labels.copy()),
                torch.from_numpy(agents.ids.copy()),
                torch.from_numpy(agents.offsets @ rotation),
                torch.from_numpy(agents.valid.copy()),
            ),
        ),
        maps=(
            MapTargets(
                torch.from_numpy(equivalent_orderings(np.ascontiguousarray(lines @ rotation))),
                torch.from_numpy(labels.copy()),
            ),
        ),
        ego=EgoTargets(
            torch.from_numpy(scene.ego_offsets[key_frame] @ rotation)[None],
            torch.from_numpy(scene.ego_valid[key_frame].copy())[None],
            torch.tensor([int(scene.commands[key_frame])]),
            torch.from_numpy(scene.status[key_frame].copy())[None],
        ),
        cameras=None,
    )


def camera_batch(
    scene: SceneTargets,
    key_frame: int,
    view: View,
    settings: ImageSettings,
    images: ImageStore,
    dataroot: Path,
    photometric: np.random.Generator | None,
) -> CameraBatch:
    """Pictures of all cameras of a frame, what the matrices become, and depth.

    Args:
        scene: targets of the scene.
        key_frame: which one.
        view: geometric augmentation, the same for all cameras.
        settings: what the network sees.
        images: where pictures come from.
        dataroot: where LiDAR sweeps lie.
        photometric: draws the colours, for each picture anew; None leaves them.

    Raises:
        SensorDataError: a picture or a sweep is missing or damaged.
    """
    width, height = settings.width, settings.height
    count = scene.images.shape[1]
    pixels = np.zeros((count, 3, height, width), np.float32)
    projection = np.zeros((count, 4, 4))
    focal = np.zeros(count, np.float32)
    turn_back = inverse(scene_turn(view))
    for camera in range(count):
        image, size = images.load(str(scene.images[key_frame, camera]))
        geometry = view_geometry(*size, width, height, view)
        picture = np.asarray(apply_view(image, geometry, width, height, view), np.float32)
        if photometric is not None:
            picture = distort(picture, photometric)
        pixels[camera] = ((picture - _MEAN) / _STD).transpose(2, 0, 1)
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = _scaled(scene.intrinsics[key_frame, camera], scene.image_sizes[key_frame, camera], size)
        from_network = scene.camera_from_network[key_frame, camera]
        projection[camera] = view_matrix(geometry, width, height, view) @ intrinsics @ from_network @ turn_back
        focal[camera] = intrinsics[0, 0] * geometry.scale_x
    return CameraBatch(
        torch.from_numpy(pixels)[None],
        torch.from_numpy(projection.astype(np.float32))[None],
        torch.tensor([float(width), float(height)]).expand(1, count, 2).clone(),
        torch.from_numpy(focal)[None],
        _depth(scene, key_frame, view, settings, dataroot, projection),
    )


def _scaled(intrinsics: Matrix, stated: NDArray[np.int64], actual: tuple[int, int]) -> Matrix:
    """Intrinsics for the picture at hand, where its size is not the one that the tables state."""
    if (stated <= 0).any():
        return intrinsics
    return np.asarray(np.diag([actual[0] / stated[0], actual[1] / stated[1], 1.0]) @ intrinsics)


def _depth(
    scene: SceneTargets, key_frame: int, view: View, settings: ImageSettings, dataroot: Path, projection: Matrix
) -> tuple[Tensor, ...]:
    points = np.zeros((0, 3), np.float32)
    if settings.depth:
        filename = str(scene.sweeps[key_frame])
        path = dataroot / filename
        try:
            content = bytearray(path.read_bytes()) if filename else bytearray()
        except OSError as error:
            raise SensorDataError(f"LiDAR file {path} cannot be read: {error.strerror}; copy it again") from error
        points = points_of(content, path)[:, :3]
        points = points[np.isfinite(points).all(axis=1)]
        points = transform_points(scene_turn(view) @ scene.network_from_lidar, points).astype(np.float32)
    levels = sparse_depth(points, projection, settings.width, settings.height)
    return tuple(torch.from_numpy(level)[None] for level in levels)
