"""A world without an engine: one road with a lane each way, cars that keep their distance, people who cross.

`SmallWorld` is a whole `WorldSession`: its cars follow the road by the intelligent driver model, and brake for the ego.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.planning.pdm.idm import IdmParameters
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import (
    Agent,
    Appearance,
    Divider,
    EgoState,
    LineColor,
    LinePattern,
    Place,
    Snapshot,
    WorldLane,
)

LANE_WIDTH = 3.5
PERIOD_NS = 100_000_000
CAR = np.array([4.5, 1.8, 1.5])
PERSON = np.array([0.6, 0.6, 1.75])

STRAIGHT = np.array([[0.0, 0.0], [300.0, 0.0]])
# 60 m east, a quarter of a circle of 20 m radius to the left, 80 m north.
LEFT_TURN = np.concatenate(
    [
        [[0.0, 0.0]],
        [[60 + 20 * np.sin(a), 20 - 20 * np.cos(a)] for a in np.linspace(0, np.pi / 2, 10)],
        [[80.0, 100.0]],
    ]
)


def road(line: np.ndarray) -> Place:
    """A road whose right lane has that centre line (N, 2); the other lane lies to its left."""
    right = Path(line)
    left = right.shifted(LANE_WIDTH)
    lanes = []
    for token, points in (("right", right.points), ("left", left.points[::-1])):
        polygon = shapely.LineString(points).buffer(LANE_WIDTH / 2, cap_style="flat")
        lanes.append(WorldLane(token, points, LANE_WIDTH, 13.9, False, (), (), polygon))
    area = shapely.union_all([lane.polygon.buffer(0.3) for lane in lanes])
    middle = Divider(right.shifted(LANE_WIDTH / 2).points, LinePattern.DASHED, LineColor.WHITE, True)
    crossing = shapely.LineString(right.shifted(LANE_WIDTH / 2).part(40.0, 43.0).points).buffer(3.5, cap_style="flat")
    return Place("small-road", (area,), (area,), (), tuple(lanes), (middle,), (crossing,), ())


@dataclass
class Driver:
    """A car on the road: `along` m and `speed` m/s, `wanted` speed it likes."""

    along: float
    speed: float
    wanted: float


@dataclass
class Walker:
    """A person: place and velocity."""

    place: np.ndarray
    velocity: np.ndarray


class SmallWorld:
    """See the module. `fails_after`: steps after which the engine fails; `lasts`: steps after which the world ends."""

    def __init__(
        self,
        line: np.ndarray = STRAIGHT,
        speed: float = 8.0,
        drivers: tuple[Driver, ...] = (),
        walkers: tuple[Walker, ...] = (),
        lasts: int = 10_000,
        fails_after: int | None = None,
        start: float = 10.0,
        name: str = "small-0",
    ) -> None:
        self.name, self.description = name, "a road without an engine"
        self.place, self.appearance = road(line), Appearance()
        self.path = Path(line)
        turns = ((60.0, 92.0, Command.LEFT),) if len(line) > 2 else ()
        self.route = Route(("right",), line, turns)
        self.drivers, self.walkers = [replace(d) for d in drivers], [replace(w) for w in walkers]
        self.lasts, self.fails_after, self.steps, self.closed = lasts, fails_after, 0, 0
        x, y, yaw = self.path.poses(start)
        self._ego = EgoState(np.array([x, y]), float(yaw), speed)

    period_ns = PERIOD_NS

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.steps * PERIOD_NS, self._ego, self._agents())

    def step(self, ego: EgoState) -> Snapshot:
        if self.fails_after is not None and self.steps >= self.fails_after:
            raise WorldError("the engine of this world has died; start it again")
        seconds = PERIOD_NS * 1e-9
        along, left = self.path.locate(self._ego.position)
        ahead = [(float(along), self._ego.speed)] if abs(left) < LANE_WIDTH / 2 else []
        ahead += [(d.along, d.speed) for d in self.drivers]
        for driver in self.drivers:
            leads = [(a - driver.along - CAR[0], v) for a, v in ahead if a > driver.along]
            gap, lead_speed = min(leads, default=(1e6, 0.0))
            a = float(IdmParameters().accelerate(driver.speed, max(driver.wanted, 0.1), gap, lead_speed))
            driver.along += driver.speed * seconds
            driver.speed = max(0.0, driver.speed + a * seconds) if driver.wanted > 0 else 0.0
        for walker in self.walkers:
            walker.place = walker.place + walker.velocity * seconds
        self._ego = ego
        self.steps += 1
        return self.snapshot

    @property
    def ended(self) -> bool:
        return self.steps >= self.lasts

    def close(self) -> None:
        self.closed += 1

    def _agents(self) -> tuple[Agent, ...]:
        out = []
        for number, driver in enumerate(self.drivers):
            x, y, yaw = self.path.poses(driver.along)
            velocity = driver.speed * np.array([np.cos(yaw), np.sin(yaw)])
            attribute = "vehicle.moving" if driver.speed > 0 else "vehicle.stopped"
            center = np.array([x, y, CAR[2] / 2])
            out.append(Agent(number, "vehicle.car", attribute, center, float(yaw), CAR, velocity, number, driver.along))
        for number, walker in enumerate(self.walkers, len(self.drivers)):
            yaw = float(np.arctan2(walker.velocity[1], walker.velocity[0]))
            center = np.append(walker.place, PERSON[2] / 2)
            out.append(
                Agent(
                    number, "human.pedestrian.adult", "pedestrian.moving", center, yaw, PERSON, walker.velocity, number
                )
            )
        return tuple(out)
