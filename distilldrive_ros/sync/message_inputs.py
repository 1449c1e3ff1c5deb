"""Standard sensor messages in, numbers out: every check that a message can fail is here, with its words.

Messages are taken as objects with the fields of their definition: those of rclpy and those read from a bag alike. Knows
no ROS; raw images are for `nodes.conversions.raw_images`, as they need a bridge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.messages.fields import array_view, rigid_matrix, stamp_ns
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.sync.image_headers import read_image_header

# sensor_msgs/PointField: INT8, UINT8, INT16, UINT16, INT32, UINT32, FLOAT32, FLOAT64.
_POINT_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 8: "<f8"}


class CameraImage(NamedTuple):
    """What the synchroniser takes: encoded stream ("jpeg", "png") or flat rgb8 pixels, uint8 (n,)."""

    stamp_ns: int
    encoding: str
    width: int
    height: int
    data: NDArray[np.uint8]


class LidarPoints(NamedTuple):
    """Points (n, 5) float32: x, y, z, intensity, ring. `non_finite`: left out; `absent`: fields filled with 0."""

    stamp_ns: int
    points: NDArray[np.float32]
    non_finite: int
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """Intrinsics K (3, 3) in pixels of a width x height image without distortion."""

    frame_id: str
    intrinsics: NDArray[np.float64]
    width: int
    height: int


class EgoMotion(NamedTuple):
    """One odometry message: pose (4, 4) in its world frame, twist in base_link (m/s, rad/s)."""

    stamp_ns: int
    world_frame: str
    world_from_base: NDArray[np.float64]
    speed: float
    lateral_speed: float
    yaw_rate: float


def compressed_image(message: Any) -> CameraImage:
    """A JPEG or PNG image, not decoded; the kind is read off the data, as drivers fill `format` in many ways.

    Raises:
        SensorDataError: no such image, or cut off.
    """
    data = array_view(message.data, np.uint8)
    header = read_image_header(data.data)
    return CameraImage(stamp_ns(message.header.stamp), header.encoding, header.width, header.height, data)


def calibration(message: Any, rectified: bool) -> Calibration:
    """Intrinsics of a camera.

    Args:
        message: the camera's info.
        rectified: the images are rectified: P holds their intrinsics and the distortion does not matter.

    Raises:
        SensorDataError: not calibrated, distorted though not rectified, or binned or cropped.
    """
    k = np.array(message.k, np.float64).reshape(3, 3)
    p = np.array(message.p, np.float64).reshape(3, 4)[:, :3]
    if rectified and p[0, 0] > 0:
        k = p
    if not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
        raise SensorDataError("camera_info holds no intrinsics (K is zero); calibrate the camera")
    if message.width == 0 or message.height == 0:
        raise SensorDataError("camera_info holds no image size; let the driver fill width and height")
    if not rectified and any(value != 0.0 for value in message.d):
        raise SensorDataError(
            f"camera_info holds a distortion ({message.distortion_model}), which the models do not know; feed "
            "rectified images and set parameter rectified to true"
        )
    roi = message.roi
    if message.binning_x > 1 or message.binning_y > 1 or (roi.width and roi.width != message.width):
        raise SensorDataError("camera_info says that the image is binned or cropped; feed whole images")
    return Calibration(message.header.frame_id, k, message.width, message.height)


def point_cloud(message: Any) -> LidarPoints:
    """Points of a sweep, whatever the order of the fields and what else there is.

    Fields x, y and z are needed; `intensity` and `ring` are 0 where absent. Points that are not finite are left out.

    Raises:
        SensorDataError: big-endian data, missing or repeated fields, lengths that contradict each other.
    """
    if message.is_bigendian:
        raise SensorDataError("point cloud is big-endian, which is not supported; let the driver send little-endian")
    fields = {field.name: field for field in message.fields}
    lacking = [name for name in ("x", "y", "z") if name not in fields]
    if lacking:
        raise SensorDataError(
            f"point cloud has no field {', '.join(lacking)} (it has: {', '.join(fields) or 'none'}); "
            "x, y and z are needed"
        )
    used = [name for name in ("x", "y", "z", "intensity", "ring") if name in fields]
    rows = _structured(message, [fields[name] for name in used])
    points = np.zeros((rows.size, 5), np.float32)
    for column, name in enumerate(("x", "y", "z", "intensity", "ring")):
        if name in fields:
            points[:, column] = rows[name].reshape(-1)
    absent = tuple(name for name in ("intensity", "ring") if name not in fields)
    finite = np.isfinite(points)
    if finite.all():  # the rule; row by row it would take longer than all the rest
        return LidarPoints(stamp_ns(message.header.stamp), points, 0, absent)
    kept = points[finite.all(axis=1)]
    return LidarPoints(stamp_ns(message.header.stamp), kept, len(points) - len(kept), absent)


def _structured(message: Any, fields: list[Any]) -> NDArray[Any]:
    """View (height, width) of the cloud's bytes with the named fields."""
    for field in fields:
        if field.datatype not in _POINT_TYPES or field.count not in (0, 1):
            raise SensorDataError(
                f"point cloud field {field.name} has datatype {field.datatype} and count {field.count}; one number of "
                "a PointField type is needed"
            )
    kinds = [np.dtype(_POINT_TYPES[field.datatype]) for field in fields]
    fits = all(f.offset + kind.itemsize <= message.point_step for f, kind in zip(fields, kinds, strict=True))
    row_bytes = message.width * message.point_step
    row_step = message.row_step if message.height > 1 else row_bytes
    if not fits or row_step < row_bytes or len(message.data) < row_step * message.height:
        raise SensorDataError(
            f"point cloud of {message.width} x {message.height} points contradicts itself: point_step "
            f"{message.point_step}, row_step {message.row_step}, {len(message.data)} bytes; mend the driver"
        )
    layout = np.dtype(
        {
            "names": [field.name for field in fields],
            "formats": kinds,
            "offsets": [field.offset for field in fields],
            "itemsize": max(message.point_step, 1),
        }
    )
    shape = (message.height, message.width)
    if message.width * message.height == 0:
        return np.zeros(shape, layout)
    data = array_view(message.data, np.uint8)
    return np.ndarray(shape, layout, buffer=data.data, strides=(row_step, message.point_step))


def ego_motion(message: Any, base_frame: str) -> EgoMotion:
    """Pose and twist of the vehicle.

    Raises:
        SensorDataError: another child frame, or numbers that are not usable.
    """
    if message.child_frame_id.lstrip("/") != base_frame:
        raise SensorDataError(
            f"odometry is of frame {message.child_frame_id!r}, not {base_frame!r}; set base_frame to the "
            "vehicle's frame"
        )
    twist = message.twist.twist
    speed, lateral_speed, yaw_rate = twist.linear.x, twist.linear.y, twist.angular.z
    if not all(map(math.isfinite, (speed, lateral_speed, yaw_rate))):
        raise SensorDataError(f"odometry holds a twist that is not finite (speed {speed}, yaw rate {yaw_rate})")
    matrix = rigid_matrix(message.pose.pose.position, message.pose.pose.orientation)
    return EgoMotion(
        stamp_ns(message.header.stamp), message.header.frame_id.lstrip("/"), matrix, speed, lateral_speed, yaw_rate
    )
