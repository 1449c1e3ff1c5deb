"""The rig that a nuScenes-schema scene was recorded with, for images of any width."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.records import SampleData, Scene
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.worlds.rig import Array, Rig, RigCamera, RigLidar


def recorded_rig(nuscenes: NuScenes, scene: Scene, width: int | None = None) -> Rig:
    """Cameras and LiDAR of a scene's first complete key frame.

    Args:
        nuscenes: the root.
        scene: the scene.
        width: image width, px; None: as recorded. The height keeps its proportion, intrinsics follow.

    Raises:
        DatasetError: no key frame has cameras and a LiDAR.
    """
    first: dict[str, SampleData] = {}
    for data in nuscenes.sample_data(scene):
        if data.is_key_frame:
            first.setdefault(data.channel, data)
    lidar = first.get(LIDAR_CHANNEL)
    cameras = [d for d in first.values() if d.modality == "camera"]
    if lidar is None or not cameras:
        raise DatasetError(f"scene {scene.name} lists no {LIDAR_CHANNEL} or no camera; check sample_data.json")
    return Rig(
        tuple(_camera(nuscenes, data, lidar.stamp_ns, width) for data in cameras),
        RigLidar(LIDAR_CHANNEL, nuscenes.calibrated_sensor(lidar.calibrated_sensor_token).base_from_sensor),
    )


def _camera(nuscenes: NuScenes, data: SampleData, lidar_ns: int, width: int | None) -> RigCamera:
    sensor = nuscenes.calibrated_sensor(data.calibrated_sensor_token, f"sample_data {data.token}")
    if sensor.intrinsics is None or data.width < 1 or data.height < 1:
        raise DatasetError(f"camera {data.channel} has no intrinsics or no image size; check calibrated_sensor.json")
    chosen = width or data.width
    height = round(chosen * data.height / data.width)
    k = scaled_intrinsics(sensor.intrinsics, chosen / data.width, height / data.height)
    return RigCamera(data.channel, k, chosen, height, sensor.base_from_sensor, lidar_ns - data.stamp_ns)


def scaled_intrinsics(intrinsics: Array, across: float, down: float) -> Array:
    """K (3, 3) of an image resized by these factors; pixel centres lie at whole numbers before and after."""
    scale = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])
    return np.asarray(scale @ intrinsics)
