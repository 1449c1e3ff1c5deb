"""Cameras and LiDAR on the ego vehicle, as the renderer needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, IMAGE_HEIGHT, IMAGE_WIDTH, LIDAR_CHANNEL, base_from_lidar

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RigCamera:
    """A pinhole camera: `intrinsics` (3, 3) px with pixel centres at whole numbers, `base_from_camera` 4x4 (optical).

    `lead_ns`: how long before the LiDAR's stamp its shutter opens.
    """

    channel: str
    intrinsics: Array
    width: int
    height: int
    base_from_camera: Array
    lead_ns: int


@dataclass(frozen=True)
class RigLidar:
    """A spinning LiDAR; `base_from_lidar` 4x4 (nuScenes LIDAR_TOP: x right, y forward, z up)."""

    channel: str
    base_from_lidar: Array


@dataclass(frozen=True)
class Rig:
    """All sensors of a vehicle."""

    cameras: tuple[RigCamera, ...]
    lidar: RigLidar


def nominal_rig(width: int = IMAGE_WIDTH) -> Rig:
    """The nuScenes-like rig of the demo vehicle, with images `width` wide (16:9)."""
    height = round(width * IMAGE_HEIGHT / IMAGE_WIDTH)
    cameras = tuple(
        RigCamera(c.channel, c.intrinsics(width), width, height, c.base_from_camera, c.lead_us * 1000) for c in CAMERAS
    )
    return Rig(cameras, RigLidar(LIDAR_CHANNEL, base_from_lidar()))
