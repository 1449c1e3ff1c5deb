"""Where the others may be in the next seconds: along the lanes that they are on, people straight on."""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.worlds.world import Agent, Place, WorldLane

Array = NDArray[np.float64]

HORIZON_S = 6.0
STEP_S = 0.25
TIMES = np.arange(0.0, HORIZON_S + 1e-9, STEP_S)
# A vehicle is on lanes whose middle is so near (m) and whose direction differs so little (rad).
LANE_DISTANCE_M, LANE_ANGLE = 2.4, math.radians(50.0)
MOST_WAYS = 4
# So many forecasts share one look-up of the lanes.
WAYS_KEPT = 4
# A vehicle that moves aside so fast leaves its lane, m/s; that is believed for so long, s.
DRIFT_SPEED, DRIFT_S = 0.35, 2.5
# Who stands may set out so briskly, m/s^2, up to m/s.
STARTING, STARTING_SPEED = 1.0, 6.0
SLOW = 0.4
# People who reach a crossing within this time, s, may mean to cross; at lights only those who head for it: the cosine
# of the angle by which they would have to turn is at least this.
WALK_AHEAD_S = 1.6
AT_LIGHTS, WITHOUT_LIGHTS = 0.7, 0.0
# Who has to stop is believed to, where this braking suffices, m/s^2.
EXPECTED_BRAKING = 3.0
# Braking goes on for so long, s.
BRAKING_S = 1.0


@dataclass(frozen=True)
class Forecast:
    """Rectangles (T, 5) x, y, length, width, yaw at `TIMES`, NaN where nothing is claimed; `agent` is whose."""

    agent: Agent
    rectangles: Array

    def until(self, time_s: float) -> Forecast:
        """The same without what is later."""
        return Forecast(self.agent, np.where((time_s + 1e-9 >= TIMES)[:, None], self.rectangles, np.nan))


class LaneForecaster:
    """Forecasts on the lanes of one place."""

    def __init__(self, place: Place) -> None:
        """Index the lanes."""
        self._place = place
        self._lanes = place.lanes
        self._tree = shapely.STRtree([shapely.LineString(lane.centerline) for lane in place.lanes])
        self._paths: dict[tuple[str, ...], Path] = {}
        self._last_ways: dict[int, tuple[int, list[tuple[str, ...]]]] = {}
        self._drivable = shapely.union_all(list(place.drivable))
        shapely.prepare(self._drivable)
        self._least_turn = AT_LIGHTS if place.lights else WITHOUT_LIGHTS

    def forecast(
        self, agent: Agent, acceleration: float, closed: Container[str], lets_pass: Callable[[str], bool]
    ) -> list[Forecast]:
        """What an agent may do.

        Args:
            agent: as it is now.
            acceleration: its last one, m/s^2.
            closed: tokens of lanes at whose end vehicles have to wait now.
            lets_pass: whether who drives onto a connector waits before it for the ego.
        """
        speed = float(np.linalg.norm(agent.velocity))
        if not agent.category.startswith("vehicle"):
            return self._walker(agent, speed)
        if speed < SLOW and acceleration < STARTING / 4:
            return [_standing(agent)]
        out = []
        for tokens in self._ways(agent, max(speed, STARTING_SPEED) * HORIZON_S):
            path = self._path(tokens)
            here, aside = (float(v) for v in path.locate(agent.center[:2]))
            along = here + self._travel(tokens, here + agent.size[0] / 2, speed, acceleration, closed, lets_pass)
            poses = path.poses(along)
            normal = np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], axis=-1)
            # Back to the middle of the lane within a few seconds.
            offset = aside * np.exp(-TIMES / 2.0)
            places = poses[:, :2] + offset[:, None] * normal
            # The heading of now fades out, too.
            turn = float(wrap(np.array(agent.yaw - poses[0, 2]))) * np.exp(-along / 4.0 + here / 4.0)
            out.append(_rectangles(agent, places, poses[:, 2] + turn))
            drift = float(agent.velocity @ normal[0])
            turns = self._place.lane_by_token[tokens[0]].is_connector
            if not turns and abs(drift) > DRIFT_SPEED and np.sign(drift) == np.sign(aside + 2 * drift):
                out.append(_straight_on(agent, DRIFT_S))
        return out or [_straight_on(agent, HORIZON_S)]

    def _walker(self, agent: Agent, speed: float) -> list[Forecast]:
        """Somebody on foot goes straight on; from the sidewalk only over a crossing."""
        place = shapely.Point(agent.center[:2])
        if self._drivable.contains(place):
            return [_straight_on(agent, HORIZON_S)] if speed > SLOW / 2 else [_standing(agent)]
        out = []
        if speed > SLOW / 2:
            for crossing in self._place.crossings:
                if crossing.distance(place) < speed * WALK_AHEAD_S:
                    over = np.array([crossing.centroid.x, crossing.centroid.y]) - agent.center[:2]
                    velocity = speed * over / np.linalg.norm(over)
                    if float(velocity @ agent.velocity) > self._least_turn * speed**2:
                        out.append(_straight_on(replace(agent, velocity=velocity), HORIZON_S))
        return out

    def _travel(
        self, tokens: tuple[str, ...], front: float, speed: float, acceleration: float, closed: Container[str],
        lets_pass: Callable[[str], bool],
    ) -> Array:  # fmt: skip
        """Metres (T,) from now on."""
        if acceleration < -0.3:
            change = max(acceleration, -6.0)
            # Who brakes may do so only for a bend ahead: nobody is believed to stop.
            until = np.minimum(TIMES, min(speed / -change, BRAKING_S))
            free = speed * until + change * until**2 / 2 + (speed + change * until) * (TIMES - until)
        elif speed < STARTING_SPEED and acceleration > STARTING / 4:
            until = np.minimum(TIMES, (STARTING_SPEED - speed) / STARTING)
            free = speed * until + STARTING * until**2 / 2 + STARTING_SPEED * (TIMES - until)
        else:
            free = speed * TIMES
        end = 0.0
        for token, onward in zip(tokens, (*tokens[1:], None), strict=True):
            end += self._length(token)
            waits = token in closed or (onward is not None and lets_pass(onward))
            if waits and end - front > speed**2 / (2 * EXPECTED_BRAKING) - 0.5:
                return np.asarray(np.minimum(free, max(0.0, end - front)))
        return np.asarray(free)

    def _lanes_of(self, agent: Agent) -> list[WorldLane]:
        """Lanes that a vehicle may be on, the likeliest first."""
        point = shapely.Point(agent.center[:2])
        found = []
        for index in self._tree.query(point, predicate="dwithin", distance=LANE_DISTANCE_M).tolist():
            lane = self._lanes[index]
            path = self._path((lane.token,))
            along, aside = (float(v) for v in path.locate(agent.center[:2]))
            angle = abs(float(wrap(np.array(path.poses(along)[2] - agent.yaw))))
            if angle < LANE_ANGLE and -2.0 < along < path.length + 2.0:
                found.append((abs(aside) + 2.0 * angle, lane.token, lane))
        return [lane for *_, lane in sorted(found, key=lambda entry: entry[:2])]

    def _ways(self, agent: Agent, length: float) -> list[tuple[str, ...]]:
        """Chains of lanes that the agent may follow; looked up anew every few times."""
        age, ways = self._last_ways.get(agent.id, (WAYS_KEPT, []))
        if age >= WAYS_KEPT or not ways:
            age, ways = 0, self._find_ways(agent, length)
        self._last_ways[agent.id] = age + 1, ways
        return ways

    def _find_ways(self, agent: Agent, length: float) -> list[tuple[str, ...]]:
        candidates = self._lanes_of(agent)
        if not candidates:
            return []
        # Connectors fan out from one place: all that fit as well count. Otherwise the likeliest lane alone.
        best = candidates[0]
        starts = [lane for lane in candidates if lane.is_connector][:3] if best.is_connector else [best]
        ways: list[tuple[str, ...]] = []
        fresh: list[tuple[tuple[str, ...], float]] = [((lane.token,), self._length(lane.token)) for lane in starts]
        while fresh and len(ways) < MOST_WAYS:
            tokens, reach = fresh.pop(0)
            onward = self._place.lane_by_token[tokens[-1]].successors
            if reach - self._length(tokens[0]) > length or not onward:
                ways.append(tokens)
                continue
            fresh += [((*tokens, token), reach + self._length(token)) for token in onward]
        return ways

    def _length(self, token: str) -> float:
        return self._path((token,)).length

    def _path(self, tokens: tuple[str, ...]) -> Path:
        if tokens not in self._paths:
            lines = [self._place.lane_by_token[token].centerline for token in tokens]
            self._paths[tokens] = Path(np.concatenate(lines))
        return self._paths[tokens]


def _rectangles(agent: Agent, places: Array, yaws: Array) -> Forecast:
    size = np.broadcast_to(agent.size[:2], (len(places), 2))
    return Forecast(agent, np.concatenate([places, size, yaws[:, None]], axis=1))


def _standing(agent: Agent) -> Forecast:
    return _rectangles(agent, np.broadcast_to(agent.center[:2], (len(TIMES), 2)), np.full(len(TIMES), agent.yaw))


def _straight_on(agent: Agent, until: float) -> Forecast:
    places = agent.center[:2] + TIMES[:, None] * agent.velocity
    places[until + 1e-9 < TIMES] = np.nan
    return _rectangles(agent, places, np.full(len(TIMES), agent.yaw))
