"""Synchronised sets between `scene.sensor_frame` and their messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import distilldrive_ros.msg as msg
from distilldrive_ros.messages.fields import array_view, command_of, shaped_view, stamp_ns
from distilldrive_ros.nodes.conversions.factory import ROS
from distilldrive_ros.scene.sensor_frame import (
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    LidarFrame,
    SensorFrame,
)


def sensor_frame_to_message(frame: SensorFrame) -> msg.SensorFrame:
    """`SensorFrame` message of a set."""
    return msg.SensorFrame(
        header=ROS.header(frame.stamp_ns, frame.frame_id),
        sequence=frame.sequence,
        degraded=int(frame.degraded),
        discontinuity=int(frame.discontinuity),
        command=int(frame.command),
        world_frame=frame.world_frame,
        world_from_base=frame.world_from_base.reshape(-1),
        cameras=[_camera_to_message(camera) for camera in frame.cameras],
        lidar=[] if frame.lidar is None else [_lidar_to_message(frame.lidar)],
        ego=ego_status_to_message(frame.ego),
    )


def sensor_frame_from_message(message: msg.SensorFrame) -> SensorFrame:
    """Set of a `SensorFrame` message; image and point data stay views of the message.

    Raises:
        SensorDataError: array lengths contradict each other.
    """
    return SensorFrame(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        sequence=message.sequence,
        degraded=Degraded(message.degraded),
        discontinuity=Discontinuity(message.discontinuity),
        command=command_of(message.command),
        world_frame=message.world_frame,
        world_from_base=_matrix(message.world_from_base),
        cameras=tuple(_camera_from_message(camera) for camera in message.cameras),
        lidar=_lidar_from_message(message.lidar[0]) if message.lidar else None,
        ego=ego_status_from_message(message.ego),
    )


def _camera_to_message(camera: CameraFrame) -> msg.CameraFrame:
    return msg.CameraFrame(
        name=camera.name,
        stamp=ROS.time(camera.stamp_ns),
        status=int(camera.status),
        encoding=camera.encoding,
        width=camera.width,
        height=camera.height,
        data=ROS.numbers(camera.data, np.uint8),
        intrinsics=camera.intrinsics.reshape(-1),
        base_from_camera=camera.base_from_camera.reshape(-1),
        world_from_base=camera.world_from_base.reshape(-1),
    )


def _camera_from_message(message: msg.CameraFrame) -> CameraFrame:
    return CameraFrame(
        name=message.name,
        stamp_ns=stamp_ns(message.stamp),
        status=CameraStatus(message.status),
        encoding=message.encoding,
        width=message.width,
        height=message.height,
        data=array_view(message.data, np.uint8),
        intrinsics=np.array(message.intrinsics, np.float64).reshape(3, 3),
        base_from_camera=_matrix(message.base_from_camera),
        world_from_base=_matrix(message.world_from_base),
    )


def _lidar_to_message(lidar: LidarFrame) -> msg.LidarFrame:
    return msg.LidarFrame(
        name=lidar.name,
        stamp=ROS.time(lidar.stamp_ns),
        num_points=lidar.num_points,
        points=ROS.numbers(lidar.points, np.float32),
        base_from_lidar=lidar.base_from_lidar.reshape(-1),
        world_from_base=lidar.world_from_base.reshape(-1),
    )


def _lidar_from_message(message: msg.LidarFrame) -> LidarFrame:
    return LidarFrame(
        name=message.name,
        stamp_ns=stamp_ns(message.stamp),
        points=shaped_view(message.points, np.float32, (message.num_points, 5), f"LiDAR frame {message.name}"),
        base_from_lidar=_matrix(message.base_from_lidar),
        world_from_base=_matrix(message.world_from_base),
    )


def ego_status_to_message(ego: EgoStatus) -> msg.EgoStatus:
    """`EgoStatus` message."""
    return msg.EgoStatus(
        header=ROS.header(ego.stamp_ns, ego.frame_id),
        source_stamp=ROS.time(ego.source_stamp_ns),
        speed=float(ego.speed),
        lateral_speed=float(ego.lateral_speed),
        yaw_rate=float(ego.yaw_rate),
        acceleration=float(ego.acceleration),
        lateral_acceleration=float(ego.lateral_acceleration),
        steering_angle=float(ego.steering_angle),
    )


def ego_status_from_message(message: msg.EgoStatus) -> EgoStatus:
    """Ego status of its message."""
    return EgoStatus(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        source_stamp_ns=stamp_ns(message.source_stamp),
        speed=message.speed,
        lateral_speed=message.lateral_speed,
        yaw_rate=message.yaw_rate,
        acceleration=message.acceleration,
        lateral_acceleration=message.lateral_acceleration,
        steering_angle=message.steering_angle,
    )


def _matrix(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """4x4 matrix of a `float64[16]` field, as a copy."""
    return np.array(field, np.float64).reshape(4, 4)
