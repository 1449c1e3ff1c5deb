"""Where the sensors sit on the vehicle: `/tf_static` through `tf2_ros`, looked up again whenever it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from distilldrive_ros.nodes.compat import tf2_ros
from distilldrive_ros.nodes.conversions.poses import pose_matrix
from distilldrive_ros.scene.errors import SensorDataError


class StaticExtrinsics:
    """Transforms from sensor frames to the vehicle's. Never waits: what is not known yet is asked for again later."""

    def __init__(self, base_frame: str) -> None:
        """Know nothing yet."""
        self._base_frame = base_frame
        self._buffer = tf2_ros.Buffer()
        self._parents: dict[str, str] = {}
        self.version = 0

    def add(self, message: TFMessage) -> None:
        """Take the transforms of a `/tf_static` message.

        Raises:
            SensorDataError: a transform cannot be used; the others of the message are taken.
        """
        faults = []
        for transform in message.transforms:
            child, parent = transform.child_frame_id.lstrip("/"), transform.header.frame_id.lstrip("/")
            try:
                pose_matrix(transform.transform)
                self._buffer.set_transform_static(transform, "tf_static")
                self._parents[child] = parent
            except (SensorDataError, tf2_ros.TransformException) as error:
                faults.append(f"{child} to {parent}: {error}")
        self.version += 1
        if faults:
            raise SensorDataError("/tf_static: " + "; ".join(faults))

    def base_from(self, frame: str) -> NDArray[np.float64]:
        """4x4 matrix base_from_sensor.

        Raises:
            SensorDataError: not known (yet); the message names both frames and the chain of parents.
        """
        try:
            found = self._buffer.lookup_transform(self._base_frame, frame, Time())
        except tf2_ros.TransformException:
            raise SensorDataError(
                f"no transform from {frame} to {self._base_frame} on /tf_static (known: {self._chain(frame)}); "
                "publish it, or mend the frame names"
            ) from None
        return pose_matrix(found.transform)

    def _chain(self, frame: str) -> str:
        """The frame and its ancestors, as far as known."""
        names = [frame.lstrip("/")]
        while names[-1] in self._parents and self._parents[names[-1]] not in names:
            names.append(self._parents[names[-1]])
        return " -> ".join(names) if len(names) > 1 or self._parents else "nothing"
