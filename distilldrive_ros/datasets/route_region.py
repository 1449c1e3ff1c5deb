"""The road around the vehicle with its route, as outlines in base_link: what privileged planners and scorers see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from distilldrive_ros.datasets.map_expansion import Lane, MapExpansion
from distilldrive_ros.datasets.route import Route, find_route
from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.poses import inverse, planar_pose, yaw_of
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind

Array = NDArray[np.float64]

# Half the side of the square around the vehicle, and the piece of the centre line, m.
REACH_M = 100.0
LINE_BEHIND_M, LINE_AHEAD_M = 20.0, 130.0
SMALLEST_AREA_M2 = 0.1


@dataclass(frozen=True)
class RoadAreas:
    """Pieces of a map that meet an area, in map coordinates (m); all but the lanes are cut to it."""

    lanes: tuple[Lane, ...]
    drivable: tuple[BaseGeometry, ...]
    carparks: tuple[BaseGeometry, ...]
    intersections: tuple[BaseGeometry, ...]


def road_areas(expansion: MapExpansion, area: shapely.Polygon) -> RoadAreas:
    """What a map holds in an area. Where it says nothing about intersections, connectors that cross form them."""
    lanes = tuple(lane for lane in expansion.lanes if lane.centerline.intersects(area))

    def cut(geometries: Iterable[BaseGeometry]) -> tuple[BaseGeometry, ...]:
        return tuple(geometry.intersection(area) for geometry in geometries)

    return RoadAreas(
        lanes,
        cut(expansion.drivable_areas.near(area)),
        cut(expansion.carparks.near(area)),
        cut(expansion.intersections.near(area) or crossing_connectors(lanes)),
    )


class RouteRegion:
    """A drive's route on its map, seen from places along it."""

    def __init__(self, route: Route, areas: RoadAreas) -> None:
        """Prepare the outlines of a route and of all that lies around it."""
        self.route = route
        lanes = [lane for lane in areas.lanes if not lane.polygon.is_empty]
        self._lane_polygons = np.array([lane.polygon for lane in lanes], object)
        self._on_route = [lane.token in self.route.lanes for lane in lanes]
        shapely.prepare(self._lane_polygons)
        self._outlines = {
            PolylineKind.DRIVABLE_AREA: shapely.union_all((*areas.drivable, *areas.carparks)),
            PolylineKind.INTERSECTION: shapely.union_all(areas.intersections),
        }
        self._line = Path(self.route.centerline)

    @classmethod
    def of_drive(cls, expansion: MapExpansion, drive: Array) -> RouteRegion:
        """The route that a drive (N, 3) took: x, y, heading of the rear axle in map coordinates.

        Raises:
            NoRouteError: no lane runs along the drive.
            DatasetError: the map is damaged.
        """
        low, high = drive[:, :2].min(axis=0) - 2 * REACH_M, drive[:, :2].max(axis=0) + 2 * REACH_M
        return cls(find_route(expansion.lanes, drive), road_areas(expansion, shapely.box(*low, *high)))

    def at(self, world_from_base: Array) -> tuple[MapPolyline, ...]:
        """Centre line of the route, drivable area, intersections and lanes around a pose (4, 4), in base_link.

        Roll and pitch are left out, as in `map_region`.
        """
        world_from_plane = planar_pose(world_from_base[0, 3], world_from_base[1, 3], yaw_of(world_from_base))
        to_base = inverse(world_from_plane)
        square = REACH_M * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        place = shapely.Polygon(square @ world_from_plane[:2, :2].T + world_from_plane[:2, 3])
        along = float(self._line.locate(world_from_plane[:2, 3])[0])
        ahead = self._line.part(along - LINE_BEHIND_M, along + LINE_AHEAD_M)
        out = [_polyline(PolylineKind.CENTERLINE, shapely.LineString(ahead.points), to_base)]
        for kind, area in self._outlines.items():
            out += _rings(kind, area.intersection(place), to_base)
        near = np.flatnonzero(shapely.intersects(self._lane_polygons, place))
        for number, cut in zip(near, shapely.intersection(self._lane_polygons[near], place), strict=True):
            kind = PolylineKind.ROUTE_LANE if self._on_route[number] else PolylineKind.LANE
            out += _rings(kind, cut, to_base)
        return tuple(out)


def crossing_connectors(lanes: Iterable[Lane]) -> list[BaseGeometry]:
    """Where roads meet, as lanes say it: areas of connectors whose centre lines cross another's."""
    connectors = [lane for lane in lanes if lane.is_connector]
    lines = [lane.centerline for lane in connectors]
    crossing = set()
    if lines:
        pairs = shapely.STRtree(lines).query(lines, predicate="crosses")
        crossing = {int(number) for pair in pairs.T for number in pair}
    joined = shapely.union_all([connectors[number].polygon for number in sorted(crossing)])
    return [part for part in shapely.get_parts(joined) if part.area > 0]


def _rings(kind: PolylineKind, area: BaseGeometry, to_base: Array) -> list[MapPolyline]:
    """Outlines of an area and of its holes."""
    pieces = [p for p in shapely.get_parts(area) if p.geom_type == "Polygon" and p.area >= SMALLEST_AREA_M2]
    return [_polyline(kind, ring, to_base) for piece in pieces for ring in (piece.exterior, *piece.interiors)]


def _polyline(kind: PolylineKind, line: BaseGeometry, to_base: Array) -> MapPolyline:
    points = shapely.get_coordinates(line) @ to_base[:2, :2].T + to_base[:2, 3]
    return MapPolyline(kind, 1.0, points.astype(np.float32))
