"""Kerb stones as solids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Color, Face, Part, Solid, newell_normal
from distilldrive_ros.worlds.rendering.mesh import area_triangles
from distilldrive_ros.worlds.rendering.road_paint import KERB_HEIGHT_M, kerbs
from distilldrive_ros.worlds.world import Place

Array = NDArray[np.float64]

STONE: Color = (168, 166, 160)
SIDE: Color = (142, 140, 134)


def kerb_solid(place: Place, square_m: float) -> Iterator[tuple[Solid, Array]]:
    """Kerbs of a place by squares of this side: the solid, and the point (2,) of the ground it is relative to."""
    groups: dict[tuple[int, int], list[shapely.Polygon]] = defaultdict(list)
    for piece in _pieces(kerbs(place), square_m):
        middle = np.array(piece.representative_point().coords[0])
        groups[tuple(np.floor(middle / square_m).astype(int).tolist())].append(piece)
    for square in sorted(groups):
        center = (np.array(square) + 0.5) * square_m
        faces = tuple(face for piece in groups[square] for face in _extrude(piece, center))
        yield Solid((Part((0.0, 0.0), (square_m, square_m), faces),), np.zeros((0, 7))), center


def _pieces(area: shapely.Geometry, square_m: float) -> Iterator[shapely.Polygon]:
    if area.is_empty:
        return
    low_x, low_y, high_x, high_y = area.bounds
    for x in np.arange(np.floor(low_x / square_m), high_x / square_m) * square_m:
        for y in np.arange(np.floor(low_y / square_m), high_y / square_m) * square_m:
            cut = area.intersection(shapely.box(x, y, x + square_m, y + square_m))
            yield from (p for p in shapely.get_parts(cut) if p.geom_type == "Polygon" and p.area > 0.01)


def _extrude(area: shapely.Polygon, center: Array) -> Iterator[Face]:
    """The top of a kerb and its walls."""
    up = np.array([0.0, 0.0, 1.0])
    points, triangles = area_triangles(area)
    for triangle in triangles:
        top = np.column_stack([points[triangle] - center, np.full(3, KERB_HEIGHT_M)])
        yield Face(top, up, STONE)
    area = shapely.orient_polygons(area)
    for ring in (area.exterior, *area.interiors):
        corners = np.asarray(ring.coords)[:, :2] - center
        for a, b in pairwise(corners):
            wall = np.array([(*a, 0.0), (*b, 0.0), (*b, KERB_HEIGHT_M), (*a, KERB_HEIGHT_M)])
            if np.hypot(*(b - a)) > 1e-6:
                yield Face(wall, newell_normal(wall), SIDE)
