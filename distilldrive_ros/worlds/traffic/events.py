"""What happens once in a scene: somebody cuts in, or the car ahead brakes hard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind
from distilldrive_ros.worlds.traffic.engine import Engine
from distilldrive_ros.worlds.world import EgoState

ACTOR = "v_actor"
# The actor's type: an ordinary car.
ACTOR_TYPE = "saloon"
BRAKING_M_S2 = 5.5


@dataclass
class Event:
    """What the actor does, each at a time in seconds of the scene; done at most once."""

    actions: list[tuple[float, Callable[[Any], None]]]

    def act(self, engine: Engine, time_s: float) -> None:
        """Do what is due.

        Raises:
            WorldError: the engine failed.
        """
        due = [action for at, action in self.actions if at <= time_s]
        self.actions = [(at, action) for at, action in self.actions if at > time_s]
        for action in due:
            engine.call(action)


def plan_events(
    scenario: Scenario, engine: Engine, ego: EgoState, edges: tuple[str, ...], rng: np.random.Generator
) -> list[Event]:
    """Put the actor beside or ahead of the ego and plan what it does.

    Raises:
        WorldError: the engine failed.
    """
    if scenario.kind == ScenarioKind.HARD_BRAKING:
        return [_hard_braking(scenario, engine, ego, edges, rng)]
    if scenario.kind == ScenarioKind.CUT_IN:
        return [_cut_in(scenario, engine, ego, edges, rng)]
    return []


def _hard_braking(
    scenario: Scenario, engine: Engine, ego: EgoState, edges: tuple[str, ...], rng: np.random.Generator
) -> Event:
    gap = 12.0 + 1.6 * ego.speed
    engine.call(lambda sumo: _appear(sumo, ego, edges, gap, 0.0))
    at, pause = float(rng.uniform(4.0, 7.0)), float(rng.uniform(2.0, 4.0))
    slowest = float(rng.choice([0.0, 0.0, 2.0]))
    braking = (ego.speed - slowest) / BRAKING_M_S2

    def brake(sumo: Any) -> None:
        if ACTOR in sumo.vehicle.getIDList():
            sumo.vehicle.slowDown(ACTOR, slowest, max(1.0, sumo.vehicle.getSpeed(ACTOR) / BRAKING_M_S2))

    def hold(sumo: Any) -> None:
        if ACTOR in sumo.vehicle.getIDList():
            sumo.vehicle.setSpeed(ACTOR, slowest)

    def go_on(sumo: Any) -> None:
        if ACTOR in sumo.vehicle.getIDList():
            sumo.vehicle.setSpeed(ACTOR, -1)

    return Event([(at, brake), (at + braking + 0.5, hold), (at + braking + pause, go_on)])


def _cut_in(
    scenario: Scenario, engine: Engine, ego: EgoState, edges: tuple[str, ...], rng: np.random.Generator
) -> Event:
    """The actor drives a little ahead on the next lane, then takes the ego's."""
    lane = int(engine.call(lambda sumo: _lane_number(sumo, ego, edges[0])))
    rightmost, lanes = 1, scenario.lanes
    target = lane
    beside = lane + 1 if lane - rightmost < lanes - 1 else lane - 1
    left = 3.5 * (beside - lane)
    engine.call(lambda sumo: _appear(sumo, ego, edges, 9.0 + 0.35 * ego.speed, left))
    at = float(rng.uniform(2.0, 5.0))

    def cut(sumo: Any) -> None:
        if ACTOR in sumo.vehicle.getIDList():
            # Neither courtesy nor strategy keeps the actor from it; it still avoids collisions.
            sumo.vehicle.setLaneChangeMode(ACTOR, 0b01_00_00_00_00)
            sumo.vehicle.changeLane(ACTOR, target, scenario.duration_s)

    return Event([(at, cut)])


def _lane_number(sumo: Any, ego: EgoState, edge: str) -> int:
    found, _, lane = sumo.simulation.convertRoad(float(ego.position[0]), float(ego.position[1]), False, "passenger")
    return int(lane) if found == edge else 1


def _appear(sumo: Any, ego: EgoState, edges: tuple[str, ...], ahead: float, left: float) -> None:
    """The actor, its front so far ahead of the ego's rear axle and to the left, at the ego's speed."""
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    x, y = ego.position[0] + ahead * c - left * s, ego.position[1] + ahead * s + left * c
    for name in sumo.vehicle.getIDList():
        px, py = sumo.vehicle.getPosition(name)
        dx, dy = px - x, py - y
        if name != "ego" and abs(c * dy - s * dx) < 2.6 and -16.0 < c * dx + s * dy < 16.0 + ego.speed:
            sumo.vehicle.remove(name)
    sumo.route.add("actor_route", list(edges))
    sumo.vehicle.add(ACTOR, "actor_route", typeID=ACTOR_TYPE, departSpeed=f"{ego.speed:.2f}")
    sumo.vehicle.moveToXY(ACTOR, "", -1, float(x), float(y), angle=90.0 - math.degrees(ego.yaw), keepRoute=1)
    sumo.vehicle.setPreviousSpeed(ACTOR, ego.speed)
