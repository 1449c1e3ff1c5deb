"""A world to plan in, made of the ground truth of an instant. Frame: base_link, the ego at the origin."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np
import shapely

from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import (
    KIND_OF_CLASS,
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
)
from distilldrive_ros.scene.ground_truth import GroundTruth
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import EgoStatus
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

LANE_KINDS = (PolylineKind.LANE, PolylineKind.ROUTE_LANE)
AREAS = {
    PolylineKind.DRIVABLE_AREA: MapLayer.DRIVABLE_AREA,
    PolylineKind.INTERSECTION: MapLayer.INTERSECTION,
}


def privileged_world(truth: GroundTruth, ego: EgoStatus, acceleration: float) -> NavsimWorld:
    """The world of an instant; its objects are known for that instant only.

    Args:
        truth: of the instant.
        ego: motion then.
        acceleration: forward, m/s^2.

    Raises:
        ScoringError: the ground truth holds no route.
    """
    lines = [p.xy for p in truth.road.polylines if p.kind is PolylineKind.CENTERLINE]
    if len(lines) != 1:
        raise ScoringError(
            f"the ground truth holds {len(lines)} centre lines of a route, one is needed; convert the data set again, "
            "with its map expansion"
        )
    polygons, route = _polygons(truth.road)
    return NavsimWorld(
        ego=EgoStart(
            0.0, 0.0, 0.0, ego.speed, ax=acceleration, yaw_rate=ego.yaw_rate,
            steering_angle=float(PACIFICA.steering_angle(ego.speed, ego.yaw_rate)),
        ),
        polygons=polygons,
        route=route,
        centerline=lines[0].astype(np.float64),
        objects=_objects(truth.objects),
    )  # fmt: skip


def _polygons(road: VectorMap) -> tuple[tuple[MapPolygon, ...], frozenset[str]]:
    """Polygons, and the tokens of those on the route; lanes have their place in the message as token."""
    out, route = [], set()
    for number, piece in enumerate(road.polylines):
        if piece.kind in LANE_KINDS:
            token = f"lane {number}"
            out.append(MapPolygon(token, MapLayer.LANE, _polygon(piece)))
            if piece.kind is PolylineKind.ROUTE_LANE:
                route.add(token)
    for kind, layer in AREAS.items():
        # Holes are outlines within outlines.
        outlines = (_polygon(p) for p in road.polylines if p.kind is kind)
        area = reduce(shapely.symmetric_difference, outlines, shapely.Polygon())
        parts: Iterable[shapely.Polygon] = (p for p in shapely.get_parts(area) if p.area > 0)
        out += [MapPolygon(f"{layer.value} {number}", layer, part) for number, part in enumerate(parts)]
    return tuple(out), frozenset(route)


def _polygon(outline: MapPolyline) -> shapely.Polygon | shapely.MultiPolygon:
    if len(outline.xy) < 4:
        return shapely.Polygon()
    polygon = shapely.Polygon(outline.xy.astype(np.float64))
    return polygon if polygon.is_valid else polygon.buffer(0)


def _objects(truth: ObjectPredictions) -> ObjectTracks:
    """Objects of known classes, at one instant; an unknown velocity counts as none."""
    known = [o for o in truth.objects if o.class_id in KIND_OF_CLASS]
    boxes = np.array([o.box for o in known], np.float64).reshape(-1, 7)
    velocities = np.array([o.velocity for o in known], np.float64).reshape(-1, 1, 2)
    kinds: tuple[ObjectKind, ...] = tuple(KIND_OF_CLASS[o.class_id] for o in known)
    return ObjectTracks(
        tokens=tuple(str(o.id) for o in known),
        kinds=kinds,
        sizes=boxes[:, 3:5],
        poses=boxes[:, None, [0, 1, 6]],
        velocities=np.nan_to_num(velocities, nan=0.0),
        present=np.ones((len(known), 1), bool),
    )
