"""One synchronised set of sensors: the only input of a model. Mirrors `msg/SensorFrame.msg` and what it holds.

Stamps are nanoseconds. Matrices are named `target_from_source`, 4x4 float64, metres; `base` is `base_link` (REP-105: x
forward, y left, z up, rear axle on the ground), `world` the odometry frame. Arrays must not be written to: frames are
handed from thread to thread by reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.ground_truth import GroundTruth

LIDAR_FIELDS = ("x", "y", "z", "intensity", "ring")


class CameraStatus(IntEnum):
    """`CameraFrame.STATUS_*`."""

    FRESH = 0
    HELD = 1
    ZERO_FILLED = 2


class Degraded(IntFlag):
    """`SensorFrame.DEGRADED_*`: what the set lacks."""

    NONE = 0
    CAMERA_MISSING = 1
    CAMERA_HELD = 2
    LIDAR_MISSING = 4
    EGO_STALE = 8
    COMMAND_DEFAULT = 16
    NO_HISTORY = 32


class Discontinuity(IntFlag):
    """`SensorFrame.DISCONTINUITY_*`: why temporal state must be dropped before this set."""

    NONE = 0
    START = 1
    CLOCK_BACKWARD = 2
    GAP = 4
    TELEPORT = 8
    SCENE_CHANGE = 16


@dataclass(frozen=True)
class CameraFrame:
    """One camera of a set.

    `data` is uint8 (n,): a JPEG or PNG stream, or height*width*3 bytes of raw rgb8, as `encoding` says.
    `intrinsics` is K (3, 3) in pixels of the `width` x `height` image.
    """

    name: str
    stamp_ns: int
    status: CameraStatus
    encoding: str
    width: int
    height: int
    data: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    base_from_camera: NDArray[np.float64]
    world_from_base: NDArray[np.float64]


@dataclass(frozen=True)
class LidarFrame:
    """A LiDAR sweep. `points` is float32 (n, 5): x, y, z in the sensor frame (m), intensity (0 to 255), ring index."""

    name: str
    stamp_ns: int
    points: NDArray[np.float32]
    base_from_lidar: NDArray[np.float64]
    world_from_base: NDArray[np.float64]

    @property
    def num_points(self) -> int:
        """Number of returns."""
        return len(self.points)


@dataclass(frozen=True)
class EgoStatus:
    """What the vehicle reports, at the anchor stamp, in base_link: m/s, m/s^2, rad/s, rad. NaN: unknown."""

    stamp_ns: int
    frame_id: str
    source_stamp_ns: int
    speed: float
    lateral_speed: float
    yaw_rate: float
    acceleration: float
    lateral_acceleration: float
    steering_angle: float


@dataclass(frozen=True)
class SensorFrame:
    """A synchronised set. `stamp_ns` is the anchor sensor's; `frame_id` is base_link at that instant.

    `privileged`: put in beside the sensors by whoever runs a model that asks for it; no message has it.
    """

    stamp_ns: int
    frame_id: str
    sequence: int
    degraded: Degraded
    discontinuity: Discontinuity
    command: Command
    world_frame: str
    world_from_base: NDArray[np.float64]
    cameras: tuple[CameraFrame, ...]
    lidar: LidarFrame | None
    ego: EgoStatus
    privileged: GroundTruth | None = None

    def camera(self, name: str) -> CameraFrame | None:
        """The camera of that name, or None."""
        return next((camera for camera in self.cameras if camera.name == name), None)
