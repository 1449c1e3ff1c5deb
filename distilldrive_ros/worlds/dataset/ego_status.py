"""The vehicle's own instruments over a drive, in the form and under the names of nuScenes' CAN bus expansion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import write_json
from distilldrive_ros.geometry.poses import quaternion_from_rotation
from distilldrive_ros.worlds.dataset.drive import Drive
from distilldrive_ros.worlds.dataset.map_frame import MapFrame
from distilldrive_ros.worlds.world import Snapshot

Record = dict[str, Any]

PERIOD_NS = 20_000_000
GRAVITY = 9.81
# Turns of the steering wheel per turn of the front wheels.
STEERING_RATIO = 16.0


def write_ego_status(folder: Path, scene: str, drive: Drive, frame: MapFrame, start_us: int) -> None:
    """Write `<scene>_pose.json`, `<scene>_steeranglefeedback.json` (50 Hz both) and `<scene>_route.json`.

    pose: `pos` m on the map, `orientation` (w, x, y, z), and in the vehicle's frame `vel` m/s, `accel` m/s² (as an
    instrument feels it, gravity included), `rotation_rate` rad/s. steeranglefeedback: angle of the steering wheel, rad,
    left positive. route: points (x, y) m on the map. `start_us`: stamp of the world's epoch.
    """
    times = range(drive.first_ns, drive.last_ns + 1, PERIOD_NS)
    stamped = [(start_us + time // 1000, drive.at(time)) for time in times]
    write_json(folder / f"{scene}_pose.json", [_pose(stamp, snapshot, frame) for stamp, snapshot in stamped])
    steering = [
        {"utime": stamp, "value": _round(snapshot.ego.steering * STEERING_RATIO)} for stamp, snapshot in stamped
    ]
    write_json(folder / f"{scene}_steeranglefeedback.json", steering)
    write_json(folder / f"{scene}_route.json", _rounded(frame.points(drive.route.centerline)))


def _pose(stamp_us: int, snapshot: Snapshot, frame: MapFrame) -> Record:
    ego = snapshot.ego
    pose = frame.pose(ego.world_from_base)
    return {
        "accel": [_round(ego.acceleration), _round(ego.speed * ego.yaw_rate), GRAVITY],
        "orientation": _rounded(quaternion_from_rotation(pose[:3, :3])),
        "pos": _rounded(pose[:3, 3]),
        "rotation_rate": [0.0, 0.0, _round(ego.yaw_rate)],
        "utime": stamp_us,
        "vel": [_round(ego.speed), 0.0, 0.0],
    }


def _round(value: float) -> float:
    return round(float(value), 9)


def _rounded(values: NDArray[np.float64]) -> list[Any]:
    return np.round(values, 9).tolist()
