"""A generated world that runs: SUMO moves the traffic around an ego that somebody else drives."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.scenarios.appearance import draw_appearance
from distilldrive_ros.worlds.scenarios.layout import lay_out
from distilldrive_ros.worlds.scenarios.network import Network
from distilldrive_ros.worlds.scenarios.place import place_of_network
from distilldrive_ros.worlds.scenarios.roads import build_network
from distilldrive_ros.worlds.scenarios.route import find_route
from distilldrive_ros.worlds.scenarios.scenario import TURNING, Scenario
from distilldrive_ros.worlds.scenarios.scenery import plant_scenery
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.traffic.bodies import Body
from distilldrive_ros.worlds.traffic.demand import WARM_UP_S, write_demand
from distilldrive_ros.worlds.traffic.engine import Engine
from distilldrive_ros.worlds.traffic.events import Event, plan_events
from distilldrive_ros.worlds.traffic.lights import Lights
from distilldrive_ros.worlds.traffic.obstacles import obstacles
from distilldrive_ros.worlds.traffic.road_users import BY_NAME
from distilldrive_ros.worlds.world import EgoState, Place, Snapshot

PERIOD_NS = 100_000_000
PERIOD_S = PERIOD_NS / 1e9
# Road users farther from the ego are left out, m.
SIGHT_M = 130.0
EGO = "ego"
# SUMO's flags of moveToXY: the ego may be anywhere, also off the road; its route follows it.
FREE_POSITION = 2
# Around the ego's start the street is cleared, m behind and ahead of it; ahead also by a time gap, s.
CLEAR_BEHIND_M, CLEAR_AHEAD_M, CLEAR_AHEAD_S = 16.0, 14.0, 1.5
# Beyond that the ego starts as slow as gentle braking behind others asks for, m and m/s^2.
ROOM_LOOKED_AT_M, GENTLE_BRAKING = 120.0, 1.0
# At junctions the ego is often the first to come, and the light has often just turned green: in 20 s it shall get over.
FIRST_SHARE, CLEAR_TO_JUNCTION_M = 0.75, 90.0
GREEN_SHARE, LONGEST_CYCLE_S = 0.75, 120


class GeneratedSession:
    """A `WorldSession` of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        """Build the place, start the traffic, put the ego onto its route.

        Raises:
            WorldError: SUMO is missing or fails, or the scenario cannot be built.
        """
        self.scenario = scenario
        self.name = scenario.name
        self.description = _describe(scenario)
        self.appearance = draw_appearance(scenario)
        self._snapshot: Snapshot
        self._rng = np.random.default_rng((scenario.seed, 0x7AFF1C))
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="distilldrive-world-")
        except OSError as error:
            raise WorldError(f"no temporary folder: {error}; make room or set TMPDIR") from error
        self._engine: Engine | None = None
        try:
            self._build(Path(self._folder.name))
        except BaseException:
            self.close()
            raise

    def _build(self, folder: Path) -> None:
        layout = lay_out(self.scenario)
        roads = build_network(layout.network, folder)
        net = Network(roads)
        lane = start_lane(net, layout.edges, layout.works, self._rng)
        self.route: Route = find_route(net, layout.edges, lane, layout.start, self.scenario.turn)
        bare = place_of_network(net, self.name)
        self.place: Place = replace(bare, scenery=plant_scenery(bare, self.route.centerline, self.scenario.seed))
        self._standing = obstacles(self.scenario, layout, net)
        self._bodies: dict[str, Body] = {}
        self._numbers: dict[str, int] = {}
        write_demand(self.scenario, layout, (PACIFICA.length, PACIFICA.width), folder / "traffic.rou.xml")
        self._engine = Engine(roads, folder / "traffic.rou.xml", self.scenario.seed, PERIOD_S, folder / "engine.log")
        self._lights = Lights(net)
        self._events: list[Event] = []
        self._time_ns = 0
        self._start(layout.edges)

    @property
    def snapshot(self) -> Snapshot:
        """The world now."""
        return self._snapshot

    @property
    def period_ns(self) -> int:
        """Time of one step."""
        return PERIOD_NS

    @property
    def ended(self) -> bool:
        """Whether the scenario's time is over."""
        return self._time_ns >= self.scenario.duration_s * 1e9

    def step(self, ego: EgoState) -> Snapshot:
        """Put the ego where it is 0.1 s later, let all others move for as long, and return the world then.

        Raises:
            WorldError: the engine failed, the session is closed, or the ego's state is not finite.
        """
        if not np.isfinite([*ego.position, ego.yaw, ego.speed]).all():
            raise WorldError("the ego's state is not finite; brake when a plan holds such numbers")
        engine = self._running()
        for event in self._events:
            event.act(engine, self._time_ns / 1e9)
        engine.call(lambda sumo: _move_ego(sumo, ego))
        engine.call(lambda sumo: sumo.simulationStep())
        self._time_ns += PERIOD_NS
        self._snapshot = self._observe(ego)
        return self._snapshot

    def close(self) -> None:
        """End SUMO and delete its files; may be called twice."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._folder.cleanup()

    def __enter__(self) -> GeneratedSession:
        """For `with`: closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _running(self) -> Engine:
        if self._engine is None:
            raise WorldError("the world is closed; make a new session")
        return self._engine

    def _start(self, edges: tuple[str, ...]) -> None:
        """Let the traffic spread, clear the ego's place and put it there, at the speed of the street."""
        engine = self._running()
        engine.call(lambda sumo: sumo.simulationStep(WARM_UP_S))
        if self._lights.names and self._rng.random() < GREEN_SHARE:
            engine.call(self._wait_for_green)
        line = self.route.centerline
        yaw = math.atan2(line[1, 1] - line[0, 1], line[1, 0] - line[0, 0])
        speed = self.scenario.speed_limit * float(self._rng.uniform(0.6, 0.9))
        if self.route.turns:
            bend = self.route.turns[0][0] - PACIFICA.front_length
            speed = min(speed, math.sqrt(2 * GENTLE_BRAKING * max(bend - 8.0, 4.0)))
        clear = self.scenario.kind in TURNING and self._rng.random() < FIRST_SHARE
        ego = EgoState(line[0].copy(), yaw, speed)
        ego = engine.call(lambda sumo: _clear(sumo, ego, CLEAR_TO_JUNCTION_M if clear else 0.0))
        engine.call(lambda sumo: _enter(sumo, ego, edges))
        self._events = plan_events(self.scenario, engine, ego, edges, self._rng)
        engine.call(lambda sumo: sumo.simulationStep())
        engine.call(lambda sumo: _subscribe(sumo, self._lights.names))
        self._snapshot = self._observe(ego)

    def _wait_for_green(self, sumo: Any) -> None:
        """Let the traffic go on until the light on the ego's way turns green."""
        program, signal = self._lights.signal_of(self.route.lanes)
        before = "G"
        for _ in range(LONGEST_CYCLE_S):
            now = sumo.trafficlight.getRedYellowGreenState(program)[signal]
            if now in "Gg" and before not in "Gg":
                return
            before = now
            sumo.simulationStep(sumo.simulation.getTime() + 1.0)

    def _observe(self, ego: EgoState) -> Snapshot:
        """What SUMO says of the surroundings."""
        engine = self._running()
        seen = engine.call(lambda sumo: sumo.vehicle.getContextSubscriptionResults(EGO))
        states = engine.call(lambda sumo: sumo.trafficlight.getAllSubscriptionResults())
        agents = list(self._standing)
        for name in sorted(seen):
            if name != EGO:
                agents.append(self._body(name, seen[name]).agent())
        for name in set(self._bodies) - set(seen):
            del self._bodies[name]
        return Snapshot(self._time_ns, ego, tuple(agents), self._lights.states(states))

    def _body(self, name: str, values: dict[int, Any]) -> Body:
        """The body of a road user, moved to where SUMO has it now."""
        import traci.constants as tc

        front = values[tc.VAR_POSITION]
        yaw = math.radians(90.0 - values[tc.VAR_ANGLE])
        body = self._bodies.get(name)
        if body is None:
            seed = int(np.random.default_rng([self.scenario.seed, *name.encode()]).integers(2**31))
            number = self._numbers.setdefault(name, len(self._standing) + len(self._numbers))
            body = self._bodies[name] = Body.at(number, BY_NAME[values[tc.VAR_TYPE]], seed, front, yaw)
        body.move(front, yaw, values[tc.VAR_SPEED], PERIOD_S)
        return body


def start_lane(net: Network, edges: tuple[str, ...], works: str, rng: np.random.Generator) -> int:
    """A lane of the first edge: one from which the next edge is reached, or, before works, the one that they close."""
    lanes = net.lanes_of(edges[0])
    if works:
        return 0
    if len(edges) == 1:
        return int(rng.integers(len(lanes)))
    leading = [
        number
        for number, lane in enumerate(lanes)
        if any(net.lanes[link.target].edge == edges[1] for link in net.links_from(lane.name))
    ]
    return leading[int(rng.integers(len(leading)))] if leading else 0


def _describe(scenario: Scenario) -> str:
    words = [scenario.kind.value.replace("_", " "), f"{scenario.lanes} lane(s) per direction"]
    words.append(f"{scenario.speed_limit * 3.6:.0f} km/h")
    if scenario.turn.name != "STRAIGHT":
        words.append(f"ego turns {scenario.turn.name.lower()}")
    words.append("no traffic" if not scenario.density else f"traffic {scenario.density:.0%}")
    return ", ".join(words)


def _front(ego: EgoState) -> tuple[float, float]:
    reach = PACIFICA.front_length
    return (
        float(ego.position[0] + reach * math.cos(ego.yaw)),
        float(ego.position[1] + reach * math.sin(ego.yaw)),
    )


def _move_ego(sumo: Any, ego: EgoState) -> None:
    x, y = _front(ego)
    sumo.vehicle.moveToXY(EGO, "", -1, x, y, angle=90.0 - math.degrees(ego.yaw), keepRoute=FREE_POSITION)


def _clear(sumo: Any, ego: EgoState, least: float) -> EgoState:
    """Take away vehicles that are where the ego appears, or too close before it, and all for `least` metres ahead.

    Returns:
        The ego, no faster than it can gently brake behind who is left.
    """
    speed = ego.speed
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    for name in sumo.vehicle.getIDList():
        x, y = sumo.vehicle.getPosition(name)
        dx, dy = x - ego.position[0], y - ego.position[1]
        ahead, left = c * dx + s * dy, c * dy - s * dx
        length = sumo.vehicle.getLength(name)
        if abs(left) > 2.6 or ahead < -CLEAR_BEHIND_M:
            continue
        if ahead < max(CLEAR_AHEAD_M + length + CLEAR_AHEAD_S * ego.speed, least):
            sumo.vehicle.remove(name)
        elif ahead < ROOM_LOOKED_AT_M:
            room = ahead - length - PACIFICA.front_length - 8.0
            speed = min(speed, math.sqrt(sumo.vehicle.getSpeed(name) ** 2 + 2 * GENTLE_BRAKING * max(room, 0.0)))
    return replace(ego, speed=speed)


def _enter(sumo: Any, ego: EgoState, edges: tuple[str, ...]) -> None:
    sumo.route.add("ego_route", list(edges))
    sumo.vehicle.add(EGO, "ego_route", typeID="ego", departSpeed=f"{ego.speed:.2f}")
    sumo.vehicle.setSpeedMode(EGO, 0)
    sumo.vehicle.setLaneChangeMode(EGO, 0)
    _move_ego(sumo, ego)


def _subscribe(sumo: Any, lights: tuple[str, ...]) -> None:
    """One answer per step then holds all road users near the ego and all lights."""
    import traci.constants as tc

    wanted = [tc.VAR_POSITION, tc.VAR_ANGLE, tc.VAR_SPEED, tc.VAR_TYPE]
    for domain in (tc.CMD_GET_VEHICLE_VARIABLE, tc.CMD_GET_PERSON_VARIABLE):
        sumo.vehicle.subscribeContext(EGO, domain, SIGHT_M, wanted)
    for name in lights:
        sumo.trafficlight.subscribe(name, [tc.TL_RED_YELLOW_GREEN_STATE])
