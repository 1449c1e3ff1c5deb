"""Makes messages of one library, and the small standard ones that all others are built of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.messages.fields import NANOSECONDS

Numbers = Sequence[float] | NDArray[np.float64]


class MessageFactory:
    """Messages of one library; types by their full names, such as `nav_msgs/msg/Path`."""

    def __init__(self, type_class: Callable[[str], Any], numbers: Callable[[Any, Any], Any]) -> None:
        """Choose the library.

        Args:
            type_class: class of a type, called with all its fields by name.
            numbers: flat, row-major form of (numbers of any shape, dtype) that an unbounded array field takes.
        """
        self._type_class = type_class
        self.numbers = numbers

    def make(self, type: str, **fields: Any) -> Any:
        """A message of its fields."""
        return self._type_class(type)(**fields)

    def time(self, stamp_ns: int) -> Any:
        """builtin_interfaces/Time of nanoseconds since the epoch."""
        seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
        return self.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """std_msgs/Header."""
        return self.make("std_msgs/msg/Header", stamp=self.time(stamp_ns), frame_id=frame_id)

    def vector(self, xyz: Numbers) -> Any:
        """geometry_msgs/Vector3."""
        return self.make("geometry_msgs/msg/Vector3", x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))

    def quaternion(self, xyzw: Numbers) -> Any:
        """geometry_msgs/Quaternion."""
        x, y, z, w = (float(v) for v in xyzw)
        return self.make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def pose(self, xyz: Numbers, xyzw: Numbers) -> Any:
        """geometry_msgs/Pose."""
        point = self.make("geometry_msgs/msg/Point", x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))
        return self.make("geometry_msgs/msg/Pose", position=point, orientation=self.quaternion(xyzw))

    def transform(self, stamp_ns: int, parent: str, child: str, xyz: Numbers, xyzw: Numbers) -> Any:
        """geometry_msgs/TransformStamped: where the frame `child` is in `parent`."""
        return self.make(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(stamp_ns, parent),
            child_frame_id=child,
            transform=self.make(
                "geometry_msgs/msg/Transform", translation=self.vector(xyz), rotation=self.quaternion(xyzw)
            ),
        )

    def upright_pose(self, x: float, y: float, yaw: float, z: float = 0.0) -> Any:
        """geometry_msgs/Pose upright on the ground; a heading that is NaN gives a NaN orientation, visible as such."""
        return self.pose((x, y, z), (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)))
