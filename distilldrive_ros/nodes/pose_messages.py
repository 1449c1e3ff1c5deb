"""Time stamps, poses and transforms between messages and numbers. Quaternions in messages are (x, y, z, w)."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped
from numpy.typing import NDArray
from std_msgs.msg import Header

from distilldrive_ros.nodes.compat import tf_transformations
from distilldrive_ros.scene.errors import SensorDataError

Matrix = NDArray[np.float64]

NANOSECONDS = 1_000_000_000


def stamp_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def time_message(nanoseconds: int) -> Time:
    """Stamp of nanoseconds since the epoch."""
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def header_message(nanoseconds: int, frame_id: str) -> Header:
    """Header of a stamp and a frame."""
    return Header(stamp=time_message(nanoseconds), frame_id=frame_id)


def pose_matrix(pose: Pose | Transform) -> Matrix:
    """4x4 matrix of a pose or transform.

    Raises:
        SensorDataError: numbers that are not finite, or a quaternion that is no rotation.
    """
    t = pose.position if isinstance(pose, Pose) else pose.translation
    r = pose.orientation if isinstance(pose, Pose) else pose.rotation
    values = (t.x, t.y, t.z, r.x, r.y, r.z, r.w)
    norm = math.sqrt(r.x * r.x + r.y * r.y + r.z * r.z + r.w * r.w)
    if not all(map(math.isfinite, values)) or abs(norm - 1.0) > 0.01:
        raise SensorDataError(
            f"pose is not usable: position ({t.x:g}, {t.y:g}, {t.z:g}), quaternion of length {norm:g}; "
            "the publisher must send finite numbers and unit quaternions"
        )
    matrix = np.asarray(tf_transformations.quaternion_matrix((r.x, r.y, r.z, r.w)), np.float64)
    matrix[:3, 3] = (t.x, t.y, t.z)
    return matrix


def quaternion_message(matrix: Matrix) -> Quaternion:
    """Quaternion of a rotation matrix (3, 3) or (4, 4)."""
    square = np.eye(4)
    square[:3, :3] = matrix[:3, :3]
    x, y, z, w = (float(v) for v in tf_transformations.quaternion_from_matrix(square))
    return Quaternion(x=x, y=y, z=z, w=w)


def planar_pose_message(x: float, y: float, yaw: float, z: float = 0.0) -> Pose:
    """Pose upright on the ground; NaN numbers give a NaN pose, visible as such."""
    qx, qy, qz, qw = (float(v) for v in tf_transformations.quaternion_from_euler(0.0, 0.0, float(yaw)))
    return Pose(position=Point(x=float(x), y=float(y), z=float(z)), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def yaw_of_message(orientation: Quaternion) -> float:
    """Heading of an orientation, radians counter-clockwise; NaN where a number is not finite."""
    q = (orientation.x, orientation.y, orientation.z, orientation.w)
    if not all(map(math.isfinite, q)):
        return math.nan
    return float(tf_transformations.euler_from_quaternion(q)[2])


def transform_message(nanoseconds: int, parent: str, child: str, parent_from_child: Matrix) -> TransformStamped:
    """Transform for `/tf` of a 4x4 matrix."""
    out = TransformStamped(header=header_message(nanoseconds, parent), child_frame_id=child)
    t = out.transform.translation
    t.x, t.y, t.z = (float(v) for v in parent_from_child[:3, 3])
    out.transform.rotation = quaternion_message(parent_from_child)
    return out
