"""Sensor data, transforms and odometry of a scene as serialised messages."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.cdr_templates import MessageTemplate, placeholder_numbers, placeholder_stamp_ns
from distilldrive_ros.bags.file_part import FilePart
from distilldrive_ros.bags.mcap_storage import Buffer
from distilldrive_ros.bags.topics import (
    BASE_FRAME,
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    FIXED_TOPICS,
    LIDAR,
    MAP_FRAME,
    ODOM_FRAME,
    ODOMETRY,
    TF,
    optical_frame,
)
from distilldrive_ros.bags.typed_messages import BAG, serialised
from distilldrive_ros.datasets.records import CalibratedSensor
from distilldrive_ros.scene.errors import DatasetError

Picture = TypeVar("Picture", bound=Buffer | FilePart)

# Variance of a velocity that could not be computed, (m/s)^2 and (rad/s)^2: consumers must not trust the zeros.
UNKNOWN_VARIANCE = 1e6
# sensor_msgs/PointField datatypes.
_UINT16, _FLOAT32 = 4, 7
# x, y, z, intensity as float32, ring as uint16, two bytes of padding: the size of a nuScenes point.
POINT_STEP = 20
_POINT_FIELDS = (("x", 0, _FLOAT32), ("y", 4, _FLOAT32), ("z", 8, _FLOAT32), ("intensity", 12, _FLOAT32),
                 ("ring", 16, _UINT16))  # fmt: skip
_U32 = struct.Struct("<I")


def ros_order(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternion (..., 4) as ROS has it, (x, y, z, w), from nuScenes' (w, x, y, z) of any length."""
    q = np.asarray(wxyz, np.float64)
    return (q / np.sqrt((q * q).sum(axis=-1, keepdims=True)))[..., [1, 2, 3, 0]]


def static_transforms(stamp_ns: int, sensors: Mapping[str, CalibratedSensor]) -> Any:
    """tf2_msgs/TFMessage: map to odom (identity, as nuScenes poses are in the map), base_link to every sensor."""
    transforms = [BAG.transform(stamp_ns, MAP_FRAME, ODOM_FRAME, (0, 0, 0), (0, 0, 0, 1))]
    for channel, sensor in sensors.items():
        frame = optical_frame(channel) if sensor.modality == "camera" else channel
        transforms.append(BAG.transform(stamp_ns, BASE_FRAME, frame, sensor.translation, ros_order(sensor.rotation)))
    return BAG.make("tf2_msgs/msg/TFMessage", transforms=transforms)


def transform_template() -> MessageTemplate:
    """tf2_msgs/TFMessage of odom to base_link; one group: x, y, z, qx, qy, qz, qw."""
    marks = placeholder_numbers(0, 7)
    stamped = BAG.transform(placeholder_stamp_ns(0), ODOM_FRAME, BASE_FRAME, marks[:3], marks[3:])
    return MessageTemplate(BAG.make("tf2_msgs/msg/TFMessage", transforms=[stamped]), FIXED_TOPICS[TF][0], [7])


def odometry_template(velocity_known: bool) -> MessageTemplate:
    """nav_msgs/Odometry; groups: pose (x, y, z, qx, qy, qz, qw) in odom, twist (3 linear, 3 angular) in base_link."""
    at, moving = placeholder_numbers(0, 7), placeholder_numbers(1, 6)
    twist = BAG.make("geometry_msgs/msg/Twist", linear=BAG.vector(moving[:3]), angular=BAG.vector(moving[3:]))
    variance = np.zeros(36) if velocity_known else UNKNOWN_VARIANCE * np.eye(6).reshape(-1)
    message = BAG.make(
        "nav_msgs/msg/Odometry",
        header=BAG.header(placeholder_stamp_ns(0), ODOM_FRAME),
        child_frame_id=BASE_FRAME,
        pose=BAG.make("geometry_msgs/msg/PoseWithCovariance", pose=BAG.pose(at[:3], at[3:]), covariance=np.zeros(36)),
        twist=BAG.make("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=variance),
    )
    return MessageTemplate(message, FIXED_TOPICS[ODOMETRY][0], [7, 6])


def camera_info_template(sensor: CalibratedSensor, width: int, height: int) -> MessageTemplate:
    """sensor_msgs/CameraInfo of a camera whose images have no distortion (nuScenes rectifies them).

    Raises:
        DatasetError: the calibration has no intrinsics.
    """
    if sensor.intrinsics is None:
        raise DatasetError(f"calibrated_sensor {sensor.token} of {sensor.channel} has no camera_intrinsic")
    k = sensor.intrinsics
    region = BAG.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    message = BAG.make(
        CAMERA_INFO,
        header=BAG.header(placeholder_stamp_ns(0), optical_frame(sensor.channel)),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.concatenate([k, np.zeros((3, 1))], axis=1).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region,
    )
    return MessageTemplate(message, CAMERA_INFO)


def image_template(camera: str) -> MessageTemplate:
    """sensor_msgs/CompressedImage without data; `image_parts` adds it."""
    head = BAG.header(placeholder_stamp_ns(0), optical_frame(camera))
    message = BAG.make(COMPRESSED_IMAGE, header=head, format="jpeg", data=np.zeros(0, np.uint8))
    return MessageTemplate(message, COMPRESSED_IMAGE)


def image_parts(template: MessageTemplate, stamp_ns: int, jpeg: Picture) -> tuple[bytearray, Picture]:
    """sensor_msgs/CompressedImage as buffers, the JPEG stream untouched. The empty sequence's length comes last."""
    front = template.fill([stamp_ns])
    _U32.pack_into(front, len(front) - 4, len(jpeg))
    return front, jpeg


def cloud_parts(stamp_ns: int, frame: str, points: NDArray[np.float32], source: object) -> tuple[Buffer, ...]:
    """sensor_msgs/PointCloud2 as buffers: x, y, z, intensity float32, ring uint16.

    Args:
        stamp_ns: of the sweep.
        frame: LiDAR frame.
        points: (N, 5) float32, C-contiguous; its last column is turned into integers in place.
        source: where the points come from, for the error.

    Raises:
        DatasetError: a ring index is no integer of 16 bits.
    """
    ring = points[:, 4].copy()
    with np.errstate(invalid="ignore"):
        index = ring.astype(np.uint16)
    if not (index == ring).all():
        raise DatasetError(f"{source}: the fifth value of a point is no ring index; is it a nuScenes .pcd.bin file?")
    dense = _all_finite(points)
    points.view(np.uint32)[:, 4] = index
    fields = [
        BAG.make("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in _POINT_FIELDS
    ]
    message = BAG.make(
        FIXED_TOPICS[LIDAR][0],
        header=BAG.header(stamp_ns, frame),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=POINT_STEP,
        row_step=POINT_STEP * len(points),
        data=np.zeros(0, np.uint8),
        is_dense=dense,
    )
    cdr = serialised(message, FIXED_TOPICS[LIDAR][0])
    # Without data the message ends with the length of the data (4 bytes) and is_dense (1 byte).
    return cdr[:-5] + _U32.pack(POINT_STEP * len(points)), points.data.cast("B"), cdr[-1:]


def _all_finite(points: NDArray[np.float32]) -> bool:
    """Whether every coordinate is a number. The sum says so at once, unless it overflows: then each is looked at."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(points.sum()) or np.isfinite(points[:, :3]).all())
