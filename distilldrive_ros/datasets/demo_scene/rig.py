"""Sensors of the demo vehicle: a nuScenes-like rig of six cameras and one roof LiDAR, nominal numbers of our own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

IMAGE_WIDTH = 1600
IMAGE_HEIGHT = 900

# Optical axes (x right, y down, z forward) written in a body frame that looks along +x with z up.
_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class CameraMount:
    """A camera on the vehicle: place in base_link (m), yaw and downward pitch (degrees), pinhole numbers.

    `focal` and `center` are pixels of 1600x900. `lead_us`: how long before the LiDAR stamp its shutter opens.
    """

    channel: str
    translation: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    focal: float
    center: tuple[float, float]
    lead_us: int

    @property
    def base_from_camera(self) -> Matrix:
        """Optical frame to base_link, 4x4."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(self.pitch_deg)
        turn = np.array([[math.cos(yaw), -math.sin(yaw), 0.0], [math.sin(yaw), math.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
        tilt = np.array(
            [[math.cos(pitch), 0.0, math.sin(pitch)], [0.0, 1.0, 0.0], [-math.sin(pitch), 0.0, math.cos(pitch)]]
        )
        pose = np.eye(4)
        pose[:3, :3] = turn @ tilt @ _BODY_FROM_OPTICAL
        pose[:3, 3] = self.translation
        return pose

    def intrinsics(self, width: int) -> Matrix:
        """K (3, 3) in pixels of an image `width` wide; pixel centres lie at whole numbers."""
        scale = width / IMAGE_WIDTH
        cx, cy = ((c + 0.5) * scale - 0.5 for c in self.center)
        return np.array([[self.focal * scale, 0.0, cx], [0.0, self.focal * scale, cy], [0.0, 0.0, 1.0]])


CAMERAS = (
    CameraMount("CAM_FRONT", (1.70, 0.01, 1.51), 0.2, 0.3, 1266.4, (812.0, 487.0), 37_000),
    CameraMount("CAM_FRONT_RIGHT", (1.55, -0.49, 1.50), -55.6, 0.2, 1260.8, (806.5, 494.0), 28_000),
    CameraMount("CAM_BACK_RIGHT", (1.01, -0.48, 1.56), -110.4, 0.4, 1259.5, (804.0, 499.0), 20_000),
    CameraMount("CAM_BACK", (0.03, 0.00, 1.58), 179.6, 0.9, 809.2, (826.0, 480.5), 11_000),
    CameraMount("CAM_BACK_LEFT", (1.03, 0.48, 1.59), 109.7, 0.5, 1256.7, (795.0, 491.5), 2_000),
    CameraMount("CAM_FRONT_LEFT", (1.52, 0.49, 1.51), 55.3, 0.1, 1272.6, (822.0, 481.0), 43_000),
)

LIDAR_CHANNEL = "LIDAR_TOP"


def base_from_lidar() -> Matrix:
    """LIDAR_TOP (x right, y forward, z up) to base_link, 4x4."""
    yaw = math.radians(-90.3)
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    pose[:3, 3] = (0.94, 0.0, 1.84)
    return pose
