"""Fields of messages read: stamps, headings, arrays without a copy. Quaternions in messages are (x, y, z, w)."""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import pose_matrix
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import SensorDataError

NANOSECONDS = 1_000_000_000


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def yaw_of_orientation(orientation: Any) -> float:
    """Heading of a geometry_msgs/Quaternion of any length, radians counter-clockwise; NaN where it is not finite."""
    x, y, z, w = orientation.x, orientation.y, orientation.z, orientation.w
    if not all(map(math.isfinite, (x, y, z, w))):
        return math.nan
    return math.atan2(2 * (x * y + z * w), w * w + x * x - y * y - z * z)


def checked_pose(
    translation: Any, rotation: Any
) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
    """Numbers (x, y, z) and (x, y, z, w) of a position (or translation) and an orientation (or rotation).

    Raises:
        SensorDataError: numbers that are not finite, or a quaternion that is no rotation.
    """
    xyz = (translation.x, translation.y, translation.z)
    xyzw = (rotation.x, rotation.y, rotation.z, rotation.w)
    norm = math.sqrt(sum(v * v for v in xyzw))
    if not all(map(math.isfinite, (*xyz, *xyzw))) or abs(norm - 1.0) > 0.01:
        raise SensorDataError(
            f"pose is not usable: position ({xyz[0]:g}, {xyz[1]:g}, {xyz[2]:g}), quaternion of length {norm:g}; "
            "the publisher must send finite numbers and unit quaternions"
        )
    return xyz, xyzw


def rigid_matrix(translation: Any, rotation: Any) -> NDArray[np.float64]:
    """4x4 matrix of a position (or translation) and an orientation (or rotation).

    Raises:
        SensorDataError: numbers that are not finite, or a quaternion that is no rotation.
    """
    xyz, (x, y, z, w) = checked_pose(translation, rotation)
    return pose_matrix(xyz, (w, x, y, z))


def array_view(field: Any, dtype: Any) -> NDArray[Any]:
    """Read-only numpy view of an array field, without a copy where it is an `array.array` or an array."""
    if len(field) == 0:
        return np.zeros(0, dtype)
    view = np.frombuffer(field, dtype) if isinstance(field, array.array) else np.asarray(field, dtype).view()
    view.flags.writeable = False
    return view


def shaped_view(field: Any, dtype: Any, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Array field with the shape that the message's counts say.

    Raises:
        SensorDataError: it holds another number of values.
    """
    flat = array_view(field, dtype)
    if flat.size != math.prod(shape):
        raise SensorDataError(f"{name} holds {flat.size} numbers where its counts say {shape}; mend the publisher")
    return flat.reshape(shape)


def command_of(number: int) -> Command:
    """Command of its number.

    Raises:
        SensorDataError: the number is no command.
    """
    try:
        return Command(number)
    except ValueError:
        raise SensorDataError(f"{number} is no driving command; use TrajectoryCandidates.COMMAND_*") from None
