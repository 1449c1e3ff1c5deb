"""A scored window as what the bird's-eye drawing takes: everything in the ego's frame at the window's start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.evaluation.navsim.closed_loop import Window
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.geometry.poses import inverse, planar_pose, wrap
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.world import EGO_STATES, MapLayer, ObjectKind, ObjectTracks
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

Array = NDArray[np.float64]

DRAWN_RADIUS_M = 60.0
HEIGHT_M = 1.5
CLASS_OF_KIND = {
    ObjectKind.VEHICLE: "car",
    ObjectKind.PEDESTRIAN: "pedestrian",
    ObjectKind.BICYCLE: "bicycle",
    ObjectKind.TRAFFIC_CONE: "traffic_cone",
    ObjectKind.BARRIER: "barrier",
    ObjectKind.GENERIC: "barrier",
}
DRAWN_LAYERS = {
    MapLayer.DRIVABLE_AREA: PolylineKind.DRIVABLE_AREA,
    MapLayer.CARPARK_AREA: PolylineKind.DRIVABLE_AREA,
    MapLayer.INTERSECTION: PolylineKind.INTERSECTION,
}


@dataclass(frozen=True)
class WindowPicture:
    """`driven`: the one candidate; `recorded` (40, 2) m: the way of the recorded driver in the same 4 s."""

    start: int
    driven: PlanCandidates
    recorded: Array
    objects: ObjectPredictions
    road: VectorMap


def window_picture(worlds: SceneWorlds, window: Window) -> WindowPicture:
    """Of a window of a scene; objects are where they are at its start."""
    x, y, heading = window.driven[0, :3]
    ego_from_world = inverse(planar_pose(x, y, heading))
    stamp_ns = int(worlds.stamps_ns[window.start])
    recorded = worlds.ego[window.start + 1 : window.start + EGO_STATES, :2]
    return WindowPicture(
        window.start,
        _candidate(stamp_ns, window, ego_from_world),
        _moved(ego_from_world, recorded),
        _objects(stamp_ns, window.objects, ego_from_world, heading),
        _road(stamp_ns, worlds, ego_from_world, window.driven[0, :2]),
    )


def _moved(pose: Array, points: Array) -> Array:
    return np.asarray(points @ pose[:2, :2].T + pose[:2, 3])


def _candidate(stamp_ns: int, window: Window, ego_from_world: Array) -> PlanCandidates:
    driven = window.driven[1:]
    candidate = Candidate(
        mode=0,
        command=Command.UNKNOWN,
        score=float(window.pdms.score[1]),
        invalid_reasons=InvalidReason.VALID,
        time_step=0.1,
        positions=_moved(ego_from_world, driven[:, :2]),
        yaw=wrap(driven[:, State.HEADING] - window.driven[0, State.HEADING]),
        speed=driven[:, State.VX],
    )
    return PlanCandidates(
        stamp_ns, "base_link", 0, "", ScoreType.SIGMOID, Command.UNKNOWN, Degraded.NONE, 0, (candidate,)
    )


def _objects(stamp_ns: int, tracks: ObjectTracks, ego_from_world: Array, heading: float) -> ObjectPredictions:
    found = []
    for index in np.flatnonzero(tracks.present[:, 0]).tolist():
        place = _moved(ego_from_world, tracks.poses[index, 0, :2])
        if np.hypot(*place) > DRAWN_RADIUS_M:
            continue
        present = tracks.present[index, 5::5]
        future = _moved(ego_from_world, tracks.poses[index, 5::5, :2])
        future[~present] = np.nan
        length, width = tracks.sizes[index]
        yaw = float(wrap(tracks.poses[index, 0, 2] - heading))
        found.append(
            ObjectPrediction(
                id=index,
                class_id=CLASS_OF_KIND[tracks.kinds[index]],
                score=1.0,
                box=np.array([*place, HEIGHT_M / 2, length, width, HEIGHT_M, yaw]),
                velocity=tracks.velocities[index, 0] @ ego_from_world[:2, :2].T,
                time_step=0.5,
                mode_scores=np.ones(1, np.float32),
                mode_xy=future[None].astype(np.float32),
            )
        )
    return ObjectPredictions(stamp_ns, "base_link", "recorded", tuple(found))


def _road(stamp_ns: int, worlds: SceneWorlds, ego_from_world: Array, place: Array) -> VectorMap:
    around = shapely.Point(place).buffer(DRAWN_RADIUS_M)
    lines = [(PolylineKind.CENTERLINE, shapely.LineString(worlds.route.centerline).intersection(around))]
    for piece in worlds.polygons:
        if piece.layer in DRAWN_LAYERS and piece.polygon.intersects(around):
            lines.append((DRAWN_LAYERS[piece.layer], piece.polygon.boundary.intersection(around)))
    polylines = tuple(
        MapPolyline(kind, 1.0, _moved(ego_from_world, np.asarray(part.coords)[:, :2]).astype(np.float32))
        for kind, line in lines
        for part in shapely.get_parts(line)
        if part.geom_type == "LineString"
    )
    return VectorMap(stamp_ns, "base_link", "map", polylines)
