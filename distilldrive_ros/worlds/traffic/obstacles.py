"""Things that stand in or beside the road for a whole scene: parked cars, cones, barriers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.worlds.scenarios.layout import Layout
from distilldrive_ros.worlds.scenarios.network import Network, NetworkLane
from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind
from distilldrive_ros.worlds.traffic.demand import choose
from distilldrive_ros.worlds.traffic.road_users import VEHICLES
from distilldrive_ros.worlds.world import Agent

Array = NDArray[np.float64]

CONE = np.array([0.40, 0.40, 0.75])
BARRIER = np.array([0.50, 1.90, 1.00])
PARKABLE = tuple(user for user in VEHICLES if user.category == "vehicle.car")
# No car parks so close to the end of a lane, m.
CLEAR_AT_ENDS_M = 14.0
# Parked cars reach so far into the lane, m: with one wheel on the kerb.
INTRUSION_M = (0.0, 0.35)
CONE_GAP_M = 6.0
TAPER_M = 30.0
EXCAVATOR = np.array([6.2, 2.5, 3.0])


@dataclass(frozen=True)
class Stationing:
    """Poses along a lane: distance from its start, metres to the left of its middle."""

    lane: NetworkLane

    def pose(self, along: float, left: float) -> tuple[float, float, float]:
        """x, y, yaw."""
        line = shapely.LineString(self.lane.shape)
        here, ahead = line.interpolate(along), line.interpolate(along + 0.5)
        behind = line.interpolate(max(0.0, along - 0.5))
        yaw = math.atan2(ahead.y - behind.y, ahead.x - behind.x)
        return here.x - left * math.sin(yaw), here.y + left * math.cos(yaw), yaw

    @property
    def length(self) -> float:
        """Metres."""
        return float(shapely.LineString(self.lane.shape).length)


def obstacles(scenario: Scenario, layout: Layout, net: Network) -> tuple[Agent, ...]:
    """All of a scene; their ids count up from 0."""
    rng = np.random.default_rng((scenario.seed, 0x0B57AC1E))
    if scenario.kind == ScenarioKind.PARKED_CARS:
        return _parked(net, rng)
    if scenario.kind == ScenarioKind.CONSTRUCTION:
        return _works(net, layout, rng)
    return ()


def _parked(net: Network, rng: np.random.Generator) -> tuple[Agent, ...]:
    """Rows of cars at the right border of every street."""
    out: list[Agent] = []
    share = float(rng.uniform(0.35, 0.85))
    for lane in net.lanes.values():
        row = Stationing(lane)
        at = CLEAR_AT_ENDS_M
        while at < row.length - CLEAR_AT_ENDS_M:
            user = choose(PARKABLE, rng)
            if rng.random() < share:
                intrusion = float(rng.uniform(*INTRUSION_M))
                left = -lane.width / 2 - user.width / 2 + intrusion
                x, y, yaw = row.pose(at + user.length / 2, left)
                yaw += float(rng.normal(0.0, 0.015))
                out.append(_standing(len(out), user.category, "vehicle.parked", x, y, yaw, user.size, rng))
            at += user.length + float(rng.uniform(0.8, 2.5))
    return tuple(out)


def _works(net: Network, layout: Layout, rng: np.random.Generator) -> tuple[Agent, ...]:
    """Cones lead over from the right lane before the works, and stand along them; barriers and machines behind."""
    out: list[Agent] = []
    site = Stationing(net.lanes_of(layout.works)[0])
    width = site.lane.width
    before = Stationing(net.lanes_of(layout.edges[layout.edges.index(layout.works) - 1])[0])

    def put(row: Stationing, along: float, left: float, category: str, size: Array, turn: float = 0.0) -> None:
        x, y, yaw = row.pose(along, left)
        out.append(_standing(len(out), category, "", x, y, yaw + turn, size, rng))

    edge = width / 2 - 0.35
    for share in np.linspace(0.0, 1.0, 8)[:-1]:
        across = -width / 2 + 0.3 + share * (width - 0.65)
        along = before.length - TAPER_M * (1 - share)
        put(before, along, across, "movable_object.trafficcone", CONE)
    for along in np.arange(0.0, site.length, CONE_GAP_M):
        put(site, float(along), edge, "movable_object.trafficcone", CONE)
    for across in (-0.9, 0.9):
        put(site, 2.5, across - 0.35, "movable_object.barrier", BARRIER)
    if site.length > 25.0:
        put(site, site.length * 0.6, -0.25, "vehicle.construction", EXCAVATOR, float(rng.choice([0.0, math.pi])))
    return tuple(out)


def _standing(number: int, category: str, attribute: str, x: float, y: float, yaw: float, size: Array,
              rng: np.random.Generator) -> Agent:  # fmt: skip
    return Agent(
        id=number,
        category=category,
        attribute=attribute or ("vehicle.parked" if category.startswith("vehicle") else ""),
        center=np.array([x, y, size[2] / 2]),
        yaw=yaw,
        size=np.array(size),
        velocity=np.zeros(2),
        seed=int(rng.integers(2**31)),
    )
