"""Who has to wait: red lights on the ego's way, and lanes whose vehicles wait for others."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.worlds.world import LightState, Place, WorldLane

# A yellow light is stopped at where this braking suffices, m/s^2.
YELLOW_BRAKING = 2.8
# A connector that bends more than this turns, rad.
TURNING_ANGLE = math.radians(30.0)
# Approaches that point against each other within this angle oppose, rad.
OPPOSING_ANGLE = math.radians(45.0)


class RightOfWay:
    """Lights and stop lines of a place, seen from a route."""

    def __init__(self, place: Place, route: tuple[str, ...], path: Path) -> None:
        """Find the stop lines on the path.

        Args:
            place: the place.
            route: tokens of the route's lanes.
            path: the line that the ego follows.
        """
        self._place = place
        on_route = set(route)
        ruled = {light.token: set(light.lanes) for light in place.lights}
        line = shapely.LineString(path.points)
        self._own_lights: list[tuple[float, str]] = []
        self._own_yields: list[float] = []
        for stop in place.stop_lines:
            if not stop.polygon.intersects(line):
                continue
            along = float(path.locate(shapely.get_coordinates(stop.polygon.centroid))[0][0])
            if stop.light:
                if ruled.get(stop.light, set()) & on_route:
                    self._own_lights.append((along, stop.light))
            else:
                self._own_yields.append(along)
        self._lane_end = _lanes_by_stop_line(place)
        self._connectors = [
            place.lane_by_token[token]
            for token in route
            if token in place.lane_by_token and place.lane_by_token[token].is_connector
        ]

    def stop_ahead(self, front: float, speed: float, lights: dict[str, LightState]) -> float:
        """Metres from the front bumper (at `front` on the path) to the nearest stop line that is closed; inf: none."""
        nearest = math.inf
        for along, token in self._own_lights:
            gap = along - front
            state = lights.get(token, LightState.OFF)
            can_stop = gap > speed**2 / (2 * YELLOW_BRAKING)
            if gap > -0.5 and (state == LightState.RED or (state == LightState.YELLOW and can_stop)):
                nearest = min(nearest, gap)
        return nearest

    def yield_ahead(self, front: float) -> float:
        """Metres from the front bumper to the next stop line without a light; inf: none."""
        return min((along - front for along in self._own_yields if along > front - 0.5), default=math.inf)

    def waiting_lanes(self, front: float, lights: dict[str, LightState]) -> set[str]:
        """Tokens of lanes at whose end vehicles wait now: by their light, or because the ego goes first."""
        goes_first = not any(along > front - 2.0 for along in self._own_yields)
        out = set()
        for token, light in self._lane_end.items():
            if light:
                if lights.get(light, LightState.OFF) in (LightState.RED, LightState.YELLOW):
                    out.add(token)
            elif goes_first:
                out.add(token)
        return out

    def lets_ego_pass(self, connector: str) -> bool:
        """Whether who comes over a connector against the ego has to let it pass: it turns left, the ego does not."""
        other = self._place.lane_by_token[connector]
        if not other.is_connector or _bend(other) < TURNING_ANGLE:
            return False
        for own in self._connectors:
            opposing = abs(math.remainder(_start_angle(own) - _start_angle(other) - math.pi, 2 * math.pi))
            if _bend(own) < TURNING_ANGLE and opposing < OPPOSING_ANGLE:
                return own.polygon.intersects(other.polygon)
        return False


def _lanes_by_stop_line(place: Place) -> dict[str, str]:
    """Lanes that end at a stop line, with the light that rules it or an empty string."""
    out: dict[str, str] = {}
    tree = shapely.STRtree([stop.polygon for stop in place.stop_lines])
    for lane in place.lanes:
        if lane.is_connector:
            continue
        end = shapely.Point(lane.centerline[-1])
        for index in tree.query(end, predicate="dwithin", distance=0.6).tolist():
            out[lane.token] = place.stop_lines[index].light
    return out


def _angles(lane: WorldLane) -> NDArray[np.float64]:
    steps = np.diff(lane.centerline, axis=0)
    return np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))


def _bend(lane: WorldLane) -> float:
    angles = _angles(lane)
    return float(angles[-1] - angles[0])


def _start_angle(lane: WorldLane) -> float:
    return float(_angles(lane)[0])
