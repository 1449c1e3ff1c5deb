"""A small place written by hand, and a world that runs in it without any engine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely

from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import (
    Agent,
    Appearance,
    Divider,
    EgoState,
    LightState,
    LineColor,
    LinePattern,
    Place,
    Scenery,
    SceneryKind,
    Snapshot,
    StopLine,
    TrafficLight,
    WorldLane,
)

WIDTH = 3.5
PERIOD_NS = 100_000_000


def _lane(token: str, line: list[tuple[float, float]], connector: bool, before: str, after: str) -> WorldLane:
    points = np.array(line, np.float64)
    area = shapely.LineString(points).buffer(WIDTH / 2, cap_style="flat")
    names = [tuple(name for name in text.split() if name) for text in (after, before)]
    return WorldLane(token, points, WIDTH, 13.9, connector, names[0], names[1], area)


def hand_made_place(name: str = "hand-made") -> Place:
    """A road of two lanes eastward and one westward through negative coordinates, with a bend at its end."""
    bend = [(30 + 40 * math.sin(a), -1.75 + 40 - 40 * math.cos(a)) for a in np.linspace(0, 0.6, 13)]
    lanes = (
        _lane("east_0", [(-80.0, -5.25), (-20.0, -5.25), (30.0, -5.25)], False, "", ""),
        _lane("east_1", [(-80.0, -1.75), (30.0, -1.75)], False, "", "over"),
        _lane("over", bend, True, "east_1", ""),
        _lane("west_0", [(30.0, 1.75), (-80.0, 1.75)], False, "", "gone"),
    )
    road = shapely.box(-80, -7, 30, 3.5)
    junction = shapely.union_all([shapely.box(30, -7, 60, 3.5), lanes[2].polygon])
    return Place(
        name=name,
        drivable=(shapely.union_all([road, junction]),),
        road_segments=(road,),
        intersections=(junction,),
        lanes=lanes,
        dividers=(
            Divider(np.array([(-80.0, -3.5), (0.0, -3.5), (28.0, -3.5)]), LinePattern.DASHED, LineColor.WHITE, False),
            Divider(np.array([(-80.0, 0.0), (28.0, 0.0)]), LinePattern.DOUBLE_SOLID, LineColor.YELLOW, True),
        ),
        crossings=(shapely.box(24, -7, 27, 3.5),),
        walkways=(shapely.box(-80, -9, 30, -7), shapely.box(-80, 3.5, 30, 5.5)),
        stop_lines=(
            StopLine(shapely.box(22.6, -3.4, 23, -0.1), "light east_1"),
            StopLine(shapely.box(-60, 0, -59, 3), ""),
        ),
        lights=(TrafficLight("light east_1", np.array([58.0, -1.75, 5.2]), math.pi, ("over",)),),
        scenery=(
            Scenery(SceneryKind.BUILDING, np.array([10.0, 18.0]), 0.0, np.array([20.0, 12.0, 9.0]), 1),
            Scenery(SceneryKind.TREE, np.array([-10.0, 8.0]), 0.0, np.array([3.0, 3.0, 6.0]), 2),
        ),
    )


def _agent(
    number: int, category: str, attribute: str, x: float, y: float, speed: float, size: tuple[float, ...]
) -> Agent:
    return Agent(
        number, category, attribute, np.array([x, y, size[2] / 2]), 0.0 if speed >= 0 else math.pi, np.array(size),
        np.array([speed, 0.0]), number,
    )  # fmt: skip


AGENTS = (
    _agent(1, "vehicle.car", "vehicle.moving", -30.0, -1.75, 6.0, (4.5, 1.9, 1.5)),
    # Right behind car 1 as the ego sees it: seldom to be seen.
    _agent(2, "vehicle.car", "vehicle.moving", -23.0, -1.75, 6.0, (4.2, 1.8, 1.3)),
    _agent(3, "vehicle.truck", "vehicle.moving", 10.0, 1.75, -7.0, (8.0, 2.5, 3.2)),
    _agent(4, "human.pedestrian.adult", "pedestrian.moving", -45.0, -8.0, 1.3, (0.7, 0.7, 1.75)),
    _agent(5, "movable_object.trafficcone", "", -40.0, -5.5, 0.0, (0.4, 0.4, 0.8)),
    # Behind the building for the whole drive.
    _agent(6, "vehicle.car", "vehicle.parked", 11.0, 30.0, 0.0, (4.5, 1.9, 1.5)),
)


class HandMadeSession:
    """A world whose agents keep their speed."""

    def __init__(self, steps: int = 30, name: str = "hand-made") -> None:
        """It ends after so many steps."""
        self.name, self.description = name, "hand-made road, everybody keeps the speed"
        self.place, self.appearance = hand_made_place(name), Appearance(seed=3)
        self.route = Route(
            ("east_1", "over"), np.array([(-80.0, -1.75), (70.0, -1.75)]), ((110.0, 120.0, Command.LEFT),)
        )
        self.snapshot = Snapshot(
            0, EgoState(np.array([-50.0, -1.75]), 0.0, 6.0), AGENTS, {"light east_1": LightState.GREEN}
        )
        self.period_ns, self._left = PERIOD_NS, steps
        self.closed = 0

    def step(self, ego: EgoState) -> Snapshot:
        """Everybody goes on."""
        self._left -= 1
        seconds = self.period_ns * 1e-9
        moved = tuple(
            replace(a, center=a.center + np.append(a.velocity * seconds, 0.0), walked=a.walked + 0.1 * a.velocity[0])
            for a in self.snapshot.agents
        )
        self.snapshot = Snapshot(self.snapshot.time_ns + self.period_ns, ego, moved, self.snapshot.lights)
        return self.snapshot

    @property
    def ended(self) -> bool:
        """After the last step."""
        return self._left <= 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


class StraightOn:
    """Drives on at the present speed."""

    def step(self, session: HandMadeSession) -> EgoState:
        """A tenth of a second farther."""
        ego = session.snapshot.ego
        return replace(ego, position=ego.position + np.array([ego.speed * 0.1, 0.0]))
