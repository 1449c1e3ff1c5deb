"""A key frame of a data set as the sensor set that inference would have got."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL
from distilldrive_ros.datasets.point_files import points_of
from distilldrive_ros.datasets.records import SampleData
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import (
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    LidarFrame,
    SensorFrame,
)
from distilldrive_ros.training.targets.ego import ego_status

_FORWARD, _LATERAL, _YAW_RATE, _STEERING = 6, 7, 5, 9


def key_frame_set(source: SceneSource, key_frame: int, cameras: tuple[str, ...]) -> SensorFrame:
    """The measurements of a key frame that belong together, files read.

    Raises:
        SensorDataError: a camera, the LiDAR or one of their files is missing or damaged.
        DatasetError: a table is wrong.
    """
    frame = source.key_frames[key_frame]
    found = _measured(source, key_frame, cameras)
    return SensorFrame(
        stamp_ns=frame.stamp_ns,
        frame_id="base_link",
        sequence=key_frame,
        degraded=Degraded.NONE,
        discontinuity=Discontinuity.NONE,
        command=frame.command.command,
        world_frame="map",
        world_from_base=frame.world_from_base,
        cameras=tuple(_camera(source, found[name]) for name in cameras),
        lidar=_lidar(source, found[LIDAR_CHANNEL]),
        ego=_ego(source, frame.stamp_ns),
    )


def key_frame_files(source: SceneSource, key_frame: int, cameras: tuple[str, ...]) -> list[Path]:
    """The files that `key_frame_set` reads: cameras in order, then the LiDAR. Raises SensorDataError as it does."""
    return [source.nuscenes.file(data) for data in _measured(source, key_frame, cameras).values()]


def _measured(source: SceneSource, key_frame: int, cameras: tuple[str, ...]) -> dict[str, SampleData]:
    """Rows of the cameras and the LiDAR by channel, in this order."""
    token = source.key_frames[key_frame].sample.token
    found = {d.channel: d for d in source.measurements if d.is_key_frame and d.sample_token == token}
    wanted = (*cameras, LIDAR_CHANNEL)
    absent = [name for name in wanted if name not in found]
    if absent:
        raise SensorDataError(f"sample {token} has no measurement of {', '.join(absent)}")
    return {name: found[name] for name in wanted}


def _camera(source: SceneSource, data: SampleData) -> CameraFrame:
    sensor = source.sensors[data.channel]
    if sensor.intrinsics is None:
        raise SensorDataError(f"camera {data.channel} has no camera_intrinsic; complete calibrated_sensor.json")
    return CameraFrame(
        data.channel,
        data.stamp_ns,
        CameraStatus.FRESH,
        "jpeg",
        data.width,
        data.height,
        np.frombuffer(_content(source, data), np.uint8),
        sensor.intrinsics,
        sensor.base_from_sensor,
        _pose(source, data),
    )


def _lidar(source: SceneSource, data: SampleData) -> LidarFrame:
    points = points_of(bytearray(_content(source, data)), Path(data.filename))
    mounting = source.sensors[data.channel].base_from_sensor
    return LidarFrame(data.channel, data.stamp_ns, points, mounting, _pose(source, data))


def _ego(source: SceneSource, stamp_ns: int) -> EgoStatus:
    stamps = np.array([stamp_ns], np.int64)
    status = ego_status(source.nuscenes.dataroot, source.scene.name, source.track, stamps)[0]
    return EgoStatus(
        stamp_ns,
        "base_link",
        stamp_ns,
        float(status[_FORWARD]),
        float(status[_LATERAL]),
        float(status[_YAW_RATE]),
        float(status[0]),
        float(status[1]),
        float(status[_STEERING]),
    )


def _pose(source: SceneSource, data: SampleData) -> NDArray[np.float64]:
    return source.nuscenes.ego_pose(data.ego_pose_token, f"sample_data {data.token}").world_from_base


def _content(source: SceneSource, data: SampleData) -> bytes:
    path = source.nuscenes.file(data)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SensorDataError(f"{path} cannot be read: {error.strerror}; copy it again") from error
