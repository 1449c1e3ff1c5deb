"""A world as the ground truth of a data set: boxes of an instant, map layers, calibration; for the same topics."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.boxes import SceneBoxes
from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.datasets.futures import FUTURE_STEPS
from distilldrive_ros.datasets.map_expansion import Layer
from distilldrive_ros.datasets.records import CalibratedSensor
from distilldrive_ros.geometry.poses import quaternion_from_rotation
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.world import Agent, LinePattern, Place, Snapshot

Array = NDArray[np.float64]


def snapshot_boxes(snapshot: Snapshot) -> SceneBoxes:
    """All agents of the ten detection classes at one instant, as the one key frame of a scene.

    Futures are NaN: what happens next depends on what the vehicle does.
    """
    kinds = [detection_class(agent.category) for agent in snapshot.agents]
    kept = [(CLASS_NAMES.index(kind), agent) for kind, agent in zip(kinds, snapshot.agents, strict=True) if kind]
    kept.sort(key=lambda entry: (entry[0], entry[1].id))
    agents = [agent for _, agent in kept]
    left_out = Counter(a.category for kind, a in zip(kinds, snapshot.agents, strict=True) if not kind)
    return SceneBoxes(
        starts=np.array([0, len(agents)], np.int64),
        ids=np.array([a.id for a in agents], np.int64),
        classes=np.array([number for number, _ in kept], np.int64),
        centers=_rows([a.center for a in agents], 3),
        sizes=_rows([a.size for a in agents], 3),
        rotations=_rows([_upright(a) for a in agents], 4),
        velocities=_rows([np.append(a.velocity, 0.0) for a in agents], 3),
        futures=np.full((len(agents), FUTURE_STEPS, 3), np.nan),
        left_out=dict(left_out),
    )


def _rows(values: list[Array], length: int) -> Array:
    return np.array(values, np.float64).reshape(-1, length)


def _upright(agent: Agent) -> Array:
    """Quaternion (w, x, y, z) of a heading."""
    return np.array([np.cos(agent.yaw / 2), 0.0, 0.0, np.sin(agent.yaw / 2)])


class PlaceLayers:
    """Map layers of a place, as `datasets.map_region` takes them."""

    def __init__(self, place: Place) -> None:
        """Index them."""
        painted = [d for d in place.dividers if d.pattern is not LinePattern.NONE]
        self.crossings = Layer(list(place.crossings))
        self.dividers = Layer([_line(d.points) for d in painted])
        self.road = Layer([*(place.road_segments or place.drivable), *(lane.polygon for lane in place.lanes)])
        self.centerlines = Layer([_line(lane.centerline) for lane in place.lanes])


def _line(points: Array) -> shapely.LineString:
    return shapely.LineString(points)


def rig_sensors(rig: Rig) -> dict[str, CalibratedSensor]:
    """Calibration by channel, as the tables of a data set hold it."""
    out = {}
    for camera in rig.cameras:
        out[camera.channel] = _sensor(camera.channel, "camera", camera.base_from_camera, camera.intrinsics)
    out[rig.lidar.channel] = _sensor(rig.lidar.channel, "lidar", rig.lidar.base_from_lidar, None)
    return out


def _sensor(channel: str, modality: str, pose: Array, intrinsics: Array | None) -> CalibratedSensor:
    return CalibratedSensor(
        channel, channel, modality, pose[:3, 3], quaternion_from_rotation(pose[:3, :3]), intrinsics
    )  # fmt: skip
