"""Map elements around the vehicle as polylines in base_link: ground truth for the map head (DistillDrive spec §14)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from distilldrive_ros.datasets.map_expansion import Layer
from distilldrive_ros.geometry.poses import inverse, planar_pose, yaw_of
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind

Array = NDArray[np.float64]

# Region of interest about the LiDAR: along and across the vehicle, m.
ROI_LENGTH_M, ROI_WIDTH_M = 60.0, 30.0
# The road's outline is taken from a region this much smaller, so that the cut edges of the region itself drop out, m.
EDGE_MARGIN_M = 0.2
# Touching crossings count as one where 1 - |cos| of their long axes is below this.
PARALLEL_LIMIT = 0.01
# Shorter pieces are left-overs of the clipping, m.
SHORTEST_M = 0.1


class RegionLayers(Protocol):
    """What of a map is cut out: a `MapExpansion`, or the layers of a world that has no file."""

    @property
    def crossings(self) -> Layer:
        """Pedestrian crossings as polygons."""
        ...

    @property
    def dividers(self) -> Layer:
        """Lane dividers and road dividers as lines."""
        ...

    @property
    def road(self) -> Layer:
        """Areas whose outline is the road boundary."""
        ...

    @property
    def centerlines(self) -> Layer:
        """Centre lines of lanes and connectors, in driving direction."""
        ...


def map_region(expansion: RegionLayers, world_from_base: Array, base_from_lidar: Array) -> tuple[MapPolyline, ...]:
    """Crossings, dividers, boundaries and centre lines in the region of interest, as seen in the ground plane.

    The region is aligned with the vehicle's heading; roll and pitch are left out. Crossings are closed; outer
    boundaries run clockwise and inner ones counter-clockwise; centre lines run in driving direction.

    Args:
        expansion: the map.
        world_from_base: 4x4 pose of the vehicle.
        base_from_lidar: 4x4 mounting of the LiDAR, the region's centre.
    """
    x, y = base_from_lidar[:2, 3]
    region = _rectangle(x, y, ROI_LENGTH_M, ROI_WIDTH_M)
    inner = _rectangle(x, y, ROI_LENGTH_M - 2 * EDGE_MARGIN_M, ROI_WIDTH_M - 2 * EDGE_MARGIN_M)
    world_from_plane = planar_pose(world_from_base[0, 3], world_from_base[1, 3], yaw_of(world_from_base))
    place = _moved(region, world_from_plane)
    to_base = inverse(world_from_plane)

    def local(geometries: list[BaseGeometry]) -> list[BaseGeometry]:
        return [_moved(g, to_base) for g in geometries]

    crossings = [c.intersection(region) for c in _merge_parallel(local(expansion.crossings.near(place)))]
    dividers = [d.intersection(region) for d in local(expansion.dividers.near(place))]
    road = shapely.union_all([r.intersection(region) for r in local(expansion.road.near(place))])
    lanes = [c.intersection(region) for c in local(expansion.centerlines.near(place))]
    return (
        *_polylines(PolylineKind.CROSSING, (p.exterior for c in crossings for p in _parts(c, "Polygon"))),
        *_polylines(PolylineKind.DIVIDER, _lines(dividers)),
        *_polylines(PolylineKind.BOUNDARY, _lines([r.intersection(inner) for r in _rings(road)])),
        *_polylines(PolylineKind.CENTERLINE, _lines(lanes)),
    )


def _rectangle(x: float, y: float, length: float, width: float) -> BaseGeometry:
    return shapely.box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)


def _moved(geometry: BaseGeometry, pose: Array) -> BaseGeometry:
    return shapely.transform(geometry, lambda points: points @ pose[:2, :2].T + pose[:2, 3])


def _parts(geometry: BaseGeometry, kind: str) -> list[BaseGeometry]:
    """Pieces of that type; what a clipping touches in single points or lines drops out."""
    return [g for g in shapely.get_parts(geometry) if g.geom_type == kind and not g.is_empty]


def _lines(geometries: Iterable[BaseGeometry]) -> Iterable[BaseGeometry]:
    """Lines of each geometry, joined end to start where clipping or a ring's first point cut them."""
    for geometry in geometries:
        pieces = _parts(geometry, "LineString")
        if pieces:
            yield from shapely.get_parts(shapely.line_merge(shapely.MultiLineString(pieces), directed=True))


def _rings(area: BaseGeometry) -> Iterable[BaseGeometry]:
    """Outlines of an area as lines: outer ones clockwise, holes counter-clockwise."""
    for polygon in _parts(area, "Polygon"):
        for ring, clockwise in [(polygon.exterior, True), *((hole, False) for hole in polygon.interiors)]:
            points = np.asarray(ring.coords)
            yield shapely.LineString(points[::-1] if ring.is_ccw == clockwise else points)


def _polylines(kind: PolylineKind, lines: Iterable[BaseGeometry]) -> Iterable[MapPolyline]:
    for line in lines:
        if line.length >= SHORTEST_M:
            yield MapPolyline(kind, 1.0, np.asarray(line.coords, np.float32)[:, :2])


def _long_axis(polygon: BaseGeometry) -> Array:
    """Unit vector (2,) along the longer side of the smallest rectangle around a polygon."""
    corners = np.asarray(polygon.minimum_rotated_rectangle.exterior.coords)[:3]
    sides = np.diff(corners, axis=0)
    lengths = np.linalg.norm(sides, axis=1)
    return np.asarray(sides[lengths.argmax()] / lengths.max())


def _merge_parallel(polygons: list[BaseGeometry]) -> list[BaseGeometry]:
    """Touching polygons with nearly parallel long axes as one: the maps cut some crossings into pieces."""
    polygons = [p for p in polygons if p.area > 0]
    axes = [_long_axis(p) for p in polygons]
    group = list(range(len(polygons)))
    for a, b in combinations(range(len(polygons)), 2):
        parallel = 1 - abs(float(axes[a] @ axes[b])) < PARALLEL_LIMIT
        if group[a] != group[b] and parallel and polygons[a].intersects(polygons[b]):
            group = [group[a] if g == group[b] else g for g in group]
    return [
        shapely.union_all([p for p, g in zip(polygons, group, strict=True) if g == wanted])
        for wanted in dict.fromkeys(group)
    ]
