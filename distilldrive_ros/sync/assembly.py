"""Single messages with their calibrations, and how a chosen set of them becomes a `SensorFrame`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import is_rigid
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, EgoStatus, LidarFrame
from distilldrive_ros.sync.ego_buffer import EgoSample
from distilldrive_ros.sync.own_body import OwnBody

ENCODINGS = ("jpeg", "png", "rgb8")


@dataclass(frozen=True)
class CameraMessage:
    """An image as it came; width and height are 0 where unknown. `data` (n,) uint8."""

    stamp_ns: int
    encoding: str
    width: int
    height: int
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class LidarMessage:
    """A sweep as it came. `points` (n, 5) float32."""

    stamp_ns: int
    points: NDArray[np.float32]


@dataclass(frozen=True)
class CameraCalibration:
    """K (3, 3) in pixels of the width x height image, and the pose of the optical frame in base_link (4, 4)."""

    intrinsics: NDArray[np.float64]
    width: int
    height: int
    base_from_camera: NDArray[np.float64]

    @staticmethod
    def checked(
        name: str, intrinsics: NDArray[np.float64], width: int, height: int, base_from_camera: NDArray[np.float64]
    ) -> CameraCalibration:
        """A calibration with private copies of the matrices.

        Raises:
            SensorDataError: not a pinhole matrix, not a rigid pose, or a size that is not positive.
        """
        k = np.array(intrinsics, np.float64)
        if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
            raise SensorDataError(
                f"camera {name}: K is not a pinhole matrix: {k.tolist()}; publish a calibrated CameraInfo"
            )
        if width <= 0 or height <= 0:
            raise SensorDataError(f"camera {name}: size {width} x {height}; publish CameraInfo with the image's size")
        return CameraCalibration(_frozen(k), width, height, checked_pose(name, base_from_camera))


def checked_pose(name: str, base_from_sensor: NDArray[np.float64]) -> NDArray[np.float64]:
    """A private copy of a mounting pose (4, 4).

    Raises:
        SensorDataError: not rigid or not finite.
    """
    pose = np.array(base_from_sensor, np.float64)
    if not is_rigid(pose):
        raise SensorDataError(f"sensor {name}: its pose in base_link is not a rigid transform; check /tf_static")
    return _frozen(pose)


def image_problem(message: CameraMessage, calibration: CameraCalibration | None) -> str:
    """Why an image cannot be used, or ""."""
    size = message.width * message.height
    if message.encoding not in ENCODINGS:
        return f"encoding {message.encoding!r}, known are {', '.join(ENCODINGS)}"
    if message.data.ndim != 1 or message.data.dtype != np.uint8 or not len(message.data):
        return "no image data"
    if message.encoding == "rgb8" and len(message.data) != size * 3:
        return f"{len(message.data)} bytes, a {message.width} x {message.height} rgb8 image has {size * 3}"
    if calibration is not None and size and (message.width, message.height) != (calibration.width, calibration.height):
        return f"size {message.width} x {message.height}, camera_info says {calibration.width} x {calibration.height}"
    return ""


def sweep_problem(message: LidarMessage) -> str:
    """Why a sweep cannot be used, or ""."""
    if message.points.dtype != np.float32 or message.points.ndim != 2 or message.points.shape[1] != 5:
        return f"points are {message.points.dtype} {message.points.shape}, expected float32 (n, 5)"
    return ""


def camera_frame(
    name: str, message: CameraMessage, status: CameraStatus, calibration: CameraCalibration, ego: EgoSample
) -> CameraFrame:
    """A fresh or held image with its calibration and the ego pose at its own stamp."""
    return CameraFrame(
        name,
        message.stamp_ns,
        status,
        message.encoding,
        message.width or calibration.width,
        message.height or calibration.height,
        message.data,
        calibration.intrinsics,
        calibration.base_from_camera,
        ego.world_from_base,
    )


def black_camera_frame(name: str, calibration: CameraCalibration, ego: EgoSample) -> CameraFrame:
    """A black rgb8 image at the anchor's stamp and pose."""
    return CameraFrame(
        name,
        ego.stamp_ns,
        CameraStatus.ZERO_FILLED,
        "rgb8",
        calibration.width,
        calibration.height,
        np.zeros(calibration.width * calibration.height * 3, np.uint8),
        calibration.intrinsics,
        calibration.base_from_camera,
        ego.world_from_base,
    )


def lidar_frame(
    name: str, message: LidarMessage, base_from_lidar: NDArray[np.float64], ego: EgoSample, own_body: OwnBody | None
) -> LidarFrame:
    """A sweep with its mounting and the ego pose at its own stamp, without the returns of the vehicle itself."""
    points = message.points if own_body is None else own_body.without_own(message.points, base_from_lidar)
    return LidarFrame(name, message.stamp_ns, points, base_from_lidar, ego.world_from_base)


def ego_status(ego: EgoSample, base_frame: str) -> EgoStatus:
    """What the vehicle reports at the anchor."""
    return EgoStatus(
        ego.stamp_ns,
        base_frame,
        ego.source_stamp_ns,
        ego.speed,
        ego.lateral_speed,
        ego.yaw_rate,
        ego.acceleration,
        ego.lateral_acceleration,
        ego.steering_angle,
    )


def _frozen(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix.setflags(write=False)
    return matrix
