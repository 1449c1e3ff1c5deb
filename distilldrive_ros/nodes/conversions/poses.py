"""Poses and transforms between messages of rclpy and matrices. Quaternions in messages are (x, y, z, w)."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose, Transform, TransformStamped
from numpy.typing import NDArray

from distilldrive_ros.messages.fields import checked_pose
from distilldrive_ros.nodes.compat import tf_transformations
from distilldrive_ros.nodes.conversions.factory import ROS

Matrix = NDArray[np.float64]


def pose_matrix(pose: Pose | Transform) -> Matrix:
    """4x4 matrix of a pose or transform.

    Raises:
        SensorDataError: numbers that are not finite, or a quaternion that is no rotation.
    """
    if isinstance(pose, Pose):
        xyz, xyzw = checked_pose(pose.position, pose.orientation)
    else:
        xyz, xyzw = checked_pose(pose.translation, pose.rotation)
    matrix = np.asarray(tf_transformations.quaternion_matrix(xyzw), np.float64)
    matrix[:3, 3] = xyz
    return matrix


def transform_message(nanoseconds: int, parent: str, child: str, parent_from_child: Matrix) -> TransformStamped:
    """Transform for `/tf` of a 4x4 matrix."""
    rotation = np.eye(4)
    rotation[:3, :3] = parent_from_child[:3, :3]
    return ROS.transform(
        nanoseconds, parent, child, parent_from_child[:3, 3], tf_transformations.quaternion_from_matrix(rotation)
    )
