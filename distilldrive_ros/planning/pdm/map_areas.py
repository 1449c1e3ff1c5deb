"""On which part of the map every corner and centre of the ego lies (spec 7.4). Points on an outline are outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.world import MapLayer, MapPolygon, NavsimWorld

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LANES = (MapLayer.LANE, MapLayer.LANE_CONNECTOR)
DRIVABLE = (MapLayer.ROADBLOCK, MapLayer.INTERSECTION, MapLayer.DRIVABLE_AREA, MapLayer.CARPARK_AREA)


@dataclass(frozen=True)
class EgoAreas:
    """Masks (P, T).

    `multiple_lanes`: between lanes; `non_drivable`: a corner is off the road; `oncoming`: the centre is in no lane of
    the route; `intersection`: the centre is in one; `axle_in_intersection`: the rear axle is.
    """

    multiple_lanes: Mask
    non_drivable: Mask
    oncoming: Mask
    intersection: Mask
    axle_in_intersection: Mask


def ego_areas(world: NavsimWorld, corners: Array, centers: Array, axles: Array) -> EgoAreas:
    """Areas of ego corners (P, T, 4, 2), centres and rear axles (P, T, 2)."""
    points = np.concatenate([corners, centers[..., None, :], axles[..., None, :]], axis=-2)
    shape = points.shape[:-1]
    located = _Points(points.reshape(-1, 2))
    lanes_touched, in_one_lane = np.zeros(shape[:-1], np.int64), np.zeros(shape[:-1], bool)
    drivable, on_route, crossing = (np.zeros(shape, bool) for _ in range(3))
    for piece in located.near(world.polygons):
        inside = located.inside(piece.polygon).reshape(shape)
        if piece.layer in LANES:
            held = inside[..., :4]
            lanes_touched += held.any(axis=-1)
            in_one_lane |= held.all(axis=-1)
            if piece.token in world.route:
                on_route |= inside
        if piece.layer in DRIVABLE:
            drivable |= inside
        if piece.layer is MapLayer.INTERSECTION:
            crossing |= inside
    return EgoAreas(
        multiple_lanes=(lanes_touched > 1) & ~in_one_lane,
        non_drivable=np.logical_not(drivable[..., :4].all(axis=-1)),
        oncoming=~on_route[..., 4],
        intersection=crossing[..., 4],
        axle_in_intersection=crossing[..., 5],
    )


class _Points:
    """Points (N, 2), and which of them lie strictly inside polygons."""

    def __init__(self, points: Array) -> None:
        self._points = points
        self._low, self._high = points.min(axis=0), points.max(axis=0)

    def near(self, polygons: Iterable[MapPolygon]) -> list[MapPolygon]:
        """Polygons whose bounds touch those of the points."""
        low, high = self._low, self._high
        out = []
        for piece in polygons:
            x0, y0, x1, y1 = piece.polygon.bounds
            if x0 <= high[0] and x1 >= low[0] and y0 <= high[1] and y1 >= low[1]:
                out.append(piece)
        return out

    def inside(self, polygon: shapely.Geometry) -> Mask:
        """Which points lie strictly inside a polygon (N,)."""
        x0, y0, x1, y1 = polygon.bounds
        x, y = self._points[:, 0], self._points[:, 1]
        out = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        candidates = np.flatnonzero(out)
        if len(candidates):
            shapely.prepare(polygon)
            out[candidates] = shapely.contains_xy(polygon, x[candidates], y[candidates])
        return out
