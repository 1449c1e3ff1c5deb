"""Names of the demo scene, and its tables to be filled."""

from __future__ import annotations

from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, LIDAR_CHANNEL, base_from_lidar
from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneIdentity, SceneTables, TableSensor

VERSION = "v1.0-demo"
LOCATION = "demo-town"
SCENE_NAME = "scene-demo"
VEHICLE = "demo"
DATE = "2026-01-01"


def demo_tables(salt: str, description: str, image_size: tuple[int, int]) -> SceneTables:
    """Tables of a scene with the demo rig; images are `image_size` (width, height) px."""
    width, height = image_size
    cameras = [TableSensor(m.channel, m.base_from_camera, m.intrinsics(width), width, height) for m in CAMERAS]
    identity = SceneIdentity(
        VERSION, SCENE_NAME, description, LOCATION, VEHICLE, f"{VEHICLE}-{DATE}-12-00-00+0000", DATE
    )
    return SceneTables(identity, salt, [*cameras, TableSensor(LIDAR_CHANNEL, base_from_lidar())])
