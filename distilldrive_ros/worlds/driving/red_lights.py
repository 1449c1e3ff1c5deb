"""Traffic lights on a vehicle's way: which of them are closed for it, and which it runs.

A closed connector is that of NAVSIM v2 (spec 7.7, TLC), with one exception: who entered it while it was open may leave
it after the light has turned red. NAVSIM excuses that through the recorded driver, whom no closed loop has.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import shapely

from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.worlds.driving.ground_truth import lane_route, place_areas
from distilldrive_ros.worlds.driving.hazards import ego_pose
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import LightState, Place, Snapshot, WorldLane


def ruled_connectors(place: Place, route: Route) -> dict[str, tuple[WorldLane, ...]]:
    """Connectors of the route that a light rules, by the light's token.

    Lanes beside the route count as its own, but connectors only where they begin at such a lane: others merge into the
    route from a side whose light has another phase.
    """
    if not place.lights:
        return {}
    on_route = lane_route(place_areas(place), route).lanes
    out: dict[str, list[WorldLane]] = defaultdict(list)
    for light in place.lights:
        for token in light.lanes:
            lane = place.lane_by_token.get(token)
            if lane is not None and token in on_route and on_route & set(lane.predecessors):
                out[light.token].append(lane)
    return {token: tuple(lanes) for token, lanes in out.items()}


@dataclass(frozen=True)
class LightReport:
    """Lights at one step: `closed` for the vehicle, `entered` now, and `run` of these: entered while red."""

    closed: frozenset[str]
    entered: frozenset[str]
    run: frozenset[str]


class LightWatch:
    """Looks at the lights of one drive, step by step."""

    def __init__(self, place: Place, route: Route, vehicle: Vehicle) -> None:
        """Find the lights on the way."""
        self._vehicle = vehicle
        self._areas = {
            token: shapely.union_all([lane.polygon for lane in lanes])
            for token, lanes in ruled_connectors(place, route).items()
        }
        for area in self._areas.values():
            shapely.prepare(area)
        self._inside: set[str] | None = None
        self._lawful: set[str] = set()

    def update(self, snapshot: Snapshot) -> LightReport:
        """The vehicle is there now. Where it is at the first call it was put: that is no entering."""
        body = shapely.Polygon(self._vehicle.corners(ego_pose(snapshot.ego))) if self._areas else None
        inside = {token for token, area in self._areas.items() if area.intersects(body)}
        red = {token for token in self._areas if snapshot.lights.get(token) is LightState.RED}
        entered = inside - self._inside if self._inside is not None else set()
        run = entered & red
        put_there = inside if self._inside is None else set()
        self._lawful = (self._lawful & inside) | (entered - run) | put_there
        self._inside = inside
        return LightReport(frozenset(red - self._lawful), frozenset(entered), frozenset(run))
