"""The road of the demo scene: a chain of straights and arcs, and coordinates along and across it.

Coordinates (s, d): s metres along the centre line, d metres to its left. World frame: metres, x east, y north.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

LANE_WIDTH = 3.6
PARKING_WIDTH = 2.3
WALK_WIDTH = 3.4
ROAD_HALF_WIDTH = LANE_WIDTH + PARKING_WIDTH
WALK_OUTER = ROAD_HALF_WIDTH + WALK_WIDTH
CROSSING_S = (31.0, 35.0)
STOP_LINE_S = 29.4
PARKING_FREE_S = (24.0, 42.0)


@dataclass(frozen=True)
class RoadSegment:
    """A straight (curvature 0) or an arc; curvature 1/m, left positive; `start_s` is its place in the chain."""

    start_s: float
    x: float
    y: float
    heading: float
    length: float
    curvature: float

    def pose(self, distance: float) -> tuple[float, float, float]:
        """x, y, heading at a distance (m) from the segment's start."""
        if self.curvature == 0.0:
            c, s = math.cos(self.heading), math.sin(self.heading)
            return self.x + c * distance, self.y + s * distance, self.heading
        heading = self.heading + self.curvature * distance
        radius = 1.0 / self.curvature
        return (
            self.x + radius * (math.sin(heading) - math.sin(self.heading)),
            self.y - radius * (math.cos(heading) - math.cos(self.heading)),
            heading,
        )

    def frenet(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(s, d) of points, measured on this segment prolonged."""
        dtype = x.dtype.type
        if self.curvature == 0.0:
            c, s = dtype(math.cos(self.heading)), dtype(math.sin(self.heading))
            dx, dy = x - dtype(self.x), y - dtype(self.y)
            return dtype(self.start_s) + c * dx + s * dy, c * dy - s * dx
        radius = 1.0 / self.curvature
        sign = math.copysign(1.0, radius)
        dx = x - dtype(self.x - radius * math.sin(self.heading))
        dy = y - dtype(self.y + radius * math.cos(self.heading))
        # Angle from the start radius, in driving direction: turn the offset so that the start radius lies on +x.
        start = self.heading - sign * math.pi / 2
        c, s = dtype(math.cos(start)), dtype(math.sin(start))
        angle = np.arctan2(c * dy - s * dx, c * dx + s * dy)
        return (
            dtype(self.start_s) + dtype(abs(radius) * sign) * angle,
            dtype(radius) - dtype(sign) * np.sqrt(dx * dx + dy * dy),
        )


@dataclass(frozen=True)
class Road:
    """Centre line of the road as a chain of segments; s runs from `start_s` to `end_s`."""

    segments: tuple[RoadSegment, ...]

    @property
    def start_s(self) -> float:
        """First s, m."""
        return self.segments[0].start_s

    @property
    def end_s(self) -> float:
        """Last s, m."""
        return self.segments[-1].start_s + self.segments[-1].length

    def pose(self, s: float) -> tuple[float, float, float]:
        """x, y, heading of the centre line at s; beyond the ends the end segments go on."""
        segment = self.segments[0]
        for candidate in self.segments[1:]:
            if s >= candidate.start_s:
                segment = candidate
        return segment.pose(s - segment.start_s)

    def point(self, s: float, d: float) -> tuple[float, float]:
        """World x, y of (s, d)."""
        x, y, heading = self.pose(s)
        return x - d * math.sin(heading), y + d * math.cos(heading)

    def line(self, start_s: float, end_s: float, d: float, step: float = 2.0) -> NDArray[np.float64]:
        """Points (N, 2) at equal steps along the road at offset d, both ends included; goes back where end < start."""
        count = max(2, math.ceil(abs(end_s - start_s) / step) + 1)
        return np.array([self.point(s, d) for s in np.linspace(start_s, end_s, count)])

    def strip(self, start_s: float, end_s: float, right_d: float, left_d: float) -> NDArray[np.float64]:
        """Outline (N, 2), counter-clockwise, of the strip between two offsets."""
        return np.concatenate([self.line(start_s, end_s, right_d), self.line(end_s, start_s, left_d)])

    @cached_property
    def _joints(self) -> tuple[tuple[float, float, float], ...]:
        return tuple((s.x, s.y, s.heading) for s in self.segments[1:])

    def frenet(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(s, d) of world points (any shape, float32 or float64).

        A point belongs to the last segment whose start normal it has passed: exact within the radius of every arc.
        """
        s, d = self.segments[0].frenet(x, y)
        for (jx, jy, heading), segment in zip(self._joints, self.segments[1:], strict=True):
            dtype = x.dtype.type
            beyond = (x - dtype(jx)) * dtype(math.cos(heading)) + (y - dtype(jy)) * dtype(math.sin(heading)) >= 0
            if not beyond.any():
                continue
            # Only the points beyond the joint are worked out again: most pixels of a view lie on one segment.
            further_s, further_d = segment.frenet(x[beyond], y[beyond])
            s[beyond], d[beyond] = further_s, further_d
        return s, d


def demo_road() -> Road:
    """A straight, a gentle left bend, a gentler right bend: 400 m in all."""
    pieces = ((150.0, 0.0), (105.0, 1 / 150.0), (145.0, -1 / 220.0))
    x, y, heading, start_s = 60.0, 110.0, 0.12, -145.0
    segments = []
    for length, curvature in pieces:
        segment = RoadSegment(start_s, x, y, heading, length, curvature)
        segments.append(segment)
        x, y, heading = segment.pose(length)
        start_s += length
    return Road(tuple(segments))
