"""A world as the ground truth of a data set has it: boxes of an instant, map layers, route, calibration."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.boxes import SceneBoxes
from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.datasets.futures import FUTURE_STEP_S, FUTURE_STEPS
from distilldrive_ros.datasets.map_expansion import Lane, Layer
from distilldrive_ros.datasets.records import CalibratedSensor
from distilldrive_ros.datasets.route import Route as LaneRoute
from distilldrive_ros.datasets.route import lanes_beside
from distilldrive_ros.datasets.route_region import RoadAreas, RouteRegion, crossing_connectors
from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.poses import inverse, quaternion_from_rotation, rotate_vectors, transform_points, yaw_of
from distilldrive_ros.scene.ground_truth import GroundTruth
from distilldrive_ros.scene.objects import CLASS_NAMES, ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.session import Route, WorldSession
from distilldrive_ros.worlds.world import Agent, LinePattern, Place, Snapshot

Array = NDArray[np.float64]

BASE_FRAME, GROUND_TRUTH = "base_link", "ground_truth"


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
        lidar_points=np.full(len(agents), -1, np.int64),
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


def place_areas(place: Place) -> RoadAreas:
    """A place as privileged planners and scorers see it. Recorded maps may say nothing about intersections."""
    lanes = tuple(
        Lane(lane.token, lane.is_connector, lane.polygon, _line(lane.centerline), lane.successors)
        for lane in place.lanes
    )
    return RoadAreas(lanes, place.drivable, (), place.intersections or tuple(crossing_connectors(lanes)))


def lane_route(areas: RoadAreas, route: Route) -> LaneRoute:
    """A route with the lanes beside it that lead the same way."""
    return LaneRoute(route.centerline, lanes_beside(areas.lanes, Path(route.centerline)) | set(route.lanes))


class WorldTruth:
    """What privileged models are given of a world."""

    def __init__(self, session: WorldSession) -> None:
        """Prepare what does not change."""
        areas = place_areas(session.place)
        self.region = RouteRegion(lane_route(areas, session.route), areas)

    def at(self, snapshot: Snapshot) -> GroundTruth:
        """Of an instant, in base_link; stamps are the world's time."""
        pose = snapshot.ego.world_from_base
        objects = ObjectPredictions(snapshot.time_ns, BASE_FRAME, GROUND_TRUTH, _objects(snapshot))
        road = VectorMap(snapshot.time_ns, BASE_FRAME, GROUND_TRUTH, self.region.at(pose))
        return GroundTruth(objects, road)


def _objects(snapshot: Snapshot) -> tuple[ObjectPrediction, ...]:
    boxes, base_from_world = snapshot_boxes(snapshot), inverse(snapshot.ego.world_from_base)
    centers = transform_points(base_from_world, boxes.centers)
    velocities = rotate_vectors(base_from_world, boxes.velocities)
    # Of rotations about the vertical, (w, 0, 0, z).
    yaws = 2 * np.arctan2(boxes.rotations[:, 3], boxes.rotations[:, 0]) + yaw_of(base_from_world)
    unknown = np.full((1, FUTURE_STEPS, 2), np.nan, np.float32)
    return tuple(
        ObjectPrediction(
            id=int(boxes.ids[row]),
            class_id=CLASS_NAMES[boxes.classes[row]],
            score=1.0,
            box=np.array([*centers[row], *boxes.sizes[row], yaws[row]]),
            velocity=velocities[row, :2],
            time_step=FUTURE_STEP_S,
            mode_scores=np.ones(1, np.float32),
            mode_xy=unknown,
        )
        for row in range(len(boxes.ids))
    )


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
