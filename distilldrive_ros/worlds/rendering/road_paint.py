"""Paint and kerbs of a place as areas on the ground, m."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from distilldrive_ros.worlds.world import Divider, LineColor, LinePattern, Place

Array = NDArray[np.float64]

LINE_WIDTH_M = 0.14
DASH_M, DASH_GAP_M = 3.0, 6.0
DOUBLE_LINE_OFFSET_M = 0.15
BAR_WIDTH_M, BAR_GAP_M = 0.5, 0.55
KERB_WIDTH_M, KERB_HEIGHT_M = 0.18, 0.12
# Kerbs are lowered this far beside a crossing, m.
CROSSING_MARGIN_M = 0.4
# Wheels darken two strips of a lane: their distance from its middle and half of their width, m.
TRACK_OFFSET_M, TRACK_HALF_WIDTH_M = 0.85, 0.3


def line_paint(dividers: Iterable[Divider], color: LineColor) -> shapely.Geometry:
    """The painted area of all dividers of a colour."""
    painted: list[shapely.Geometry] = []
    for divider in dividers:
        if divider.color is color and divider.pattern is not LinePattern.NONE and len(divider.points) > 1:
            line = shapely.LineString(divider.points)
            painted += [piece.buffer(LINE_WIDTH_M / 2, cap_style="flat") for piece in _strokes(line, divider.pattern)]
    return shapely.union_all(painted)


def _strokes(line: shapely.LineString, pattern: LinePattern) -> list[shapely.Geometry]:
    if pattern is LinePattern.DASHED:
        period = DASH_M + DASH_GAP_M
        starts = np.arange(0.0, line.length, period)
        return [substring(line, s, min(s + DASH_M, line.length)) for s in starts if line.length - s > 0.2]
    if pattern is LinePattern.DOUBLE_SOLID:
        return [line.offset_curve(side * DOUBLE_LINE_OFFSET_M) for side in (1.0, -1.0)]
    return [line]


def crossing_paint(crossings: Iterable[shapely.Polygon]) -> shapely.Geometry:
    """Zebra bars: across the crossing's long side, one after another along it."""
    bars: list[shapely.Geometry] = []
    for crossing in crossings:
        corners = np.asarray(crossing.minimum_rotated_rectangle.exterior.coords)[:4]
        first, second = corners[1] - corners[0], corners[3] - corners[0]
        along, across = (first, second) if np.linalg.norm(first) >= np.linalg.norm(second) else (second, first)
        length = float(np.linalg.norm(along))
        count = int((length + BAR_GAP_M) / (BAR_WIDTH_M + BAR_GAP_M))
        start = (length - count * (BAR_WIDTH_M + BAR_GAP_M) + BAR_GAP_M) / 2
        for i in range(count):
            a = start + i * (BAR_WIDTH_M + BAR_GAP_M)
            low, high = corners[0] + along * (a / length), corners[0] + along * ((a + BAR_WIDTH_M) / length)
            bar = shapely.Polygon([low, high, high + across, low + across])
            bars.append(bar.intersection(crossing))
    return shapely.union_all(bars)


def wheel_tracks(place: Place) -> shapely.Geometry:
    """Where wheels have darkened the lanes."""
    strips: list[shapely.Geometry] = []
    for lane in place.lanes:
        line = shapely.LineString(lane.centerline).simplify(0.1)
        for side in (1.0, -1.0):
            strip = line.offset_curve(side * TRACK_OFFSET_M)
            strips.append(strip.buffer(TRACK_HALF_WIDTH_M, cap_style="flat", join_style="mitre"))
    return shapely.union_all(strips).simplify(0.1)


def kerbs(place: Place) -> shapely.Geometry:
    """Kerb stones: a strip of the walkways along the road, but for where people cross."""
    if not place.walkways:
        return shapely.Polygon()
    road = shapely.union_all(_sound(place.drivable))
    strip = road.buffer(KERB_WIDTH_M, join_style="mitre").difference(road)
    strip = strip.intersection(shapely.union_all(_sound(place.walkways)).buffer(0.05))
    if place.crossings:
        strip = strip.difference(shapely.union_all(_sound(place.crossings)).buffer(CROSSING_MARGIN_M))
    return strip.simplify(0.03)


def _sound(areas: Sequence[shapely.Polygon]) -> list[shapely.Geometry]:
    return [a if a.is_valid else a.buffer(0) for a in areas]
