"""Stands in for ROS's `tf2_ros`: static transforms between frames, and the two broadcasters.

Keeps the newest transform of every child frame, whatever its stamp: enough for extrinsics, which do not move. Moving
frames are interpolated by the synchroniser, not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from distilldrive_ros.nodes.compat.stand_ins.tf_transformations import quaternion_from_matrix, quaternion_matrix


class TransformException(Exception):  # noqa: N818 (the real name)
    """Base of what goes wrong with transforms."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """Two frames are not in one tree."""


class InvalidArgumentException(TransformException):
    """A transform or a frame's name cannot be used."""


class Buffer:
    """Frames and the transforms between them."""

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """Make an empty buffer; `cache_time` and `node` are there for the signature: nothing grows old here."""
        self._parents: dict[str, tuple[str, NDArray[np.float64]]] = {}

    def clear(self) -> None:
        """Forget every frame."""
        self._parents.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add or replace a transform from child to parent frame; `authority` names its sender.

        Raises:
            InvalidArgumentException: a frame without a name or below itself, numbers that are no rotation.
        """
        parent, child = transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/")
        if not parent or not child or parent == child:
            raise InvalidArgumentException(f"transform of {authority} from {child!r} to {parent!r}: two names needed")
        t, r = transform.transform.translation, transform.transform.rotation
        values = np.array([t.x, t.y, t.z, r.x, r.y, r.z, r.w])
        if not np.isfinite(values).all() or abs(float(values[3:] @ values[3:]) - 1.0) > 1e-2:
            raise InvalidArgumentException(f"transform of {authority} from {child!r} to {parent!r}: {values.tolist()}")
        matrix = quaternion_matrix(values[3:])
        matrix[:3, 3] = values[:3]
        self._parents[child] = (parent, matrix)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """As `set_transform`."""
        self.set_transform(transform, authority)

    def can_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None) -> bool:
        """Whether the transform is known; `time` and `timeout` do not matter to transforms that do not move."""
        try:
            self._lookup(target_frame, source_frame)
        except TransformException:
            return False
        return True

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """Transform that takes coordinates in the source frame to the target frame.

        Raises:
            LookupException: a frame is not known.
            ConnectivityException: the frames are not in one tree.
        """
        matrix = self._lookup(target_frame, source_frame)
        out = TransformStamped()
        out.header.frame_id, out.child_frame_id = target_frame, source_frame
        out.header.stamp = time.to_msg()
        t, r = out.transform.translation, out.transform.rotation
        t.x, t.y, t.z = (float(v) for v in matrix[:3, 3])
        r.x, r.y, r.z, r.w = (float(v) for v in quaternion_from_matrix(matrix))
        return out

    def all_frames_as_yaml(self) -> str:
        """Every frame with its parent."""
        return "\n".join(f"{child}: \n  parent: '{parent}'" for child, (parent, _) in self._parents.items())

    def _lookup(self, target_frame: str, source_frame: str) -> NDArray[np.float64]:
        target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
        known = set(self._parents) | {parent for parent, _ in self._parents.values()}
        for frame in (target, source):
            if frame not in known and target != source:
                raise LookupException(f'"{frame}" passed to lookupTransform argument does not exist.')
        up_target, up_source = self._chain(target), self._chain(source)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise ConnectivityException(
                f"Could not find a connection between '{target}' and '{source}' because they are not part of the "
                "same tree. Tf has two or more unconnected trees."
            )
        return np.asarray(np.linalg.solve(up_target[common], up_source[common]))

    def _chain(self, frame: str) -> dict[str, NDArray[np.float64]]:
        """Every ancestor of a frame, itself first, with the matrix ancestor_from_frame."""
        chain = {frame: np.eye(4)}
        matrix = np.eye(4)
        while frame in self._parents:
            frame, step = self._parents[frame]
            if frame in chain:
                break  # a loop: what is above it does not exist
            matrix = step @ matrix
            chain[frame] = matrix
        return chain


class TransformBroadcaster:
    """Sends moving transforms on `/tf`."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Make the publisher."""
        self.pub_tf = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100) if qos is None else qos)

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Send one transform or several."""
        self.pub_tf.publish(TFMessage(transforms=_listed(transform)))


class StaticTransformBroadcaster:
    """Sends transforms that do not move on `/tf_static`, for late listeners too."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Make the publisher."""
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._sent: dict[str, Any] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Send one transform or several, together with all that were sent before."""
        for item in _listed(transform):
            self._sent[item.child_frame_id] = item
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))


def _listed(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    return [transform] if isinstance(transform, TransformStamped) else list(transform)
