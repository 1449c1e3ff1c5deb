"""The expert on small worlds whose outcome is known, and in SUMO's traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from distilldrive_ros.cli.main import main
from distilldrive_ros.geometry.rectangles import rectangles_overlap
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.expert.driver import ExpertDriver
from distilldrive_ros.worlds.expert.trial import run_trial
from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import (
    Agent,
    Appearance,
    EgoState,
    LightState,
    Place,
    Snapshot,
    StopLine,
    TrafficLight,
    WorldLane,
)

FRONT = PACIFICA.front_length
LENGTH, WIDTH, LIMIT = 300.0, 3.6, 10.0
CROSSING = shapely.box(80.0, -1.8, 84.0, 5.4)
SIZES = {"vehicle.car": (4.5, 1.8, 1.5), "human.pedestrian.adult": (0.6, 0.6, 1.7)}


def car(number: int, x: float, y: float = 0.0, speed: float = 0.0, parked: bool = False) -> Agent:
    attribute = "vehicle.parked" if parked else "vehicle.moving"
    return agent(number, "vehicle.car", attribute, x, y, (speed, 0.0))


def walker(number: int, x: float, y: float, velocity: tuple[float, float]) -> Agent:
    return agent(number, "human.pedestrian.adult", "pedestrian.moving", x, y, velocity)


def agent(number: int, category: str, attribute: str, x: float, y: float, velocity: tuple[float, float]) -> Agent:
    size = np.array(SIZES[category])
    yaw = float(np.arctan2(velocity[1], velocity[0]))
    return Agent(number, category, attribute, np.array([x, y, size[2] / 2]), yaw, size, np.array(velocity), seed=number)


class StraightWorld:
    """A `WorldSession` of one lane along x; agents keep their speed. `red_until_s` rules the stop line at x = 60."""

    name = "straight"
    description = "one lane"
    appearance = Appearance()
    period_ns = 100_000_000
    ended = False

    def __init__(
        self, agents: tuple[Agent, ...], red_until_s: float = 0.0, speed: float = 8.0, ego_y: float = 0.0
    ) -> None:
        line = np.stack([np.linspace(0.0, LENGTH, 301), np.zeros(301)], axis=-1)
        first, last = line[:61], line[60:]
        road = shapely.box(0.0, -WIDTH / 2, LENGTH, 3 * WIDTH / 2)

        def lane(
            token: str, points: np.ndarray, before: tuple[str, ...], after: tuple[str, ...], way: bool
        ) -> WorldLane:
            area = shapely.LineString(points).buffer(WIDTH / 2, cap_style="flat")
            return WorldLane(token, points, WIDTH, LIMIT, way, after, before, area)

        self.place = Place(
            name="straight",
            drivable=(road,),
            road_segments=(road,),
            intersections=(),
            lanes=(lane("in", first, (), ("on",), False), lane("on", last, ("in",), (), True)),
            dividers=(),
            crossings=(CROSSING,),
            walkways=(),
            stop_lines=(StopLine(shapely.box(59.6, -1.7, 60.0, 1.7), "light"),) if red_until_s else (),
            lights=(TrafficLight("light", np.array([75.0, 0.0, 5.0]), np.pi, ("on",)),) if red_until_s else (),
        )
        self.route = Route(("in", "on"), line, ())
        self._red_until_s = red_until_s
        self.snapshot = Snapshot(0, EgoState(np.array([5.0, ego_y]), 0.0, speed), agents, self._lights(0.0))

    def step(self, ego: EgoState) -> Snapshot:
        moved = tuple(
            replace(a, center=a.center + np.array([*a.velocity, 0.0]) * self.period_ns / 1e9)
            for a in self.snapshot.agents
        )
        time_ns = self.snapshot.time_ns + self.period_ns
        self.snapshot = Snapshot(time_ns, ego, moved, self._lights(time_ns / 1e9))
        return self.snapshot

    def close(self) -> None:
        """Nothing to end."""

    def change(self, number: int, how: Callable[[Agent], Agent]) -> None:
        """Let one agent do something else from now on."""
        agents = tuple(how(a) if a.id == number else a for a in self.snapshot.agents)
        self.snapshot = replace(self.snapshot, agents=agents)

    def _lights(self, time_s: float) -> dict[str, LightState]:
        if not self._red_until_s:
            return {}
        return {"light": LightState.RED if time_s < self._red_until_s else LightState.GREEN}


def drive(world: StraightWorld, steps: int) -> list[Snapshot]:
    driver = ExpertDriver(world)
    return [world.step(driver.step(world)) for _ in range(steps)]


def room(snapshot: Snapshot) -> float:
    """Smallest distance to any agent over the road's axis, by widening the ego's box until it touches; 0: a hit."""
    ego = snapshot.ego
    boxes = np.array([[*a.center[:2], *a.size[:2], a.yaw] for a in snapshot.agents])
    center = PACIFICA.centers([*ego.position, ego.yaw])
    for grown in np.arange(0.0, 5.0, 0.05):
        body = np.array([*center, PACIFICA.length + 2 * grown, PACIFICA.width + 2 * grown, ego.yaw])
        if rectangles_overlap(body, boxes).any():
            return float(grown)
    return 5.0


def test_on_a_free_road_it_takes_up_the_limit_smoothly() -> None:
    snapshots = drive(StraightWorld((), speed=2.0, ego_y=0.4), 150)
    assert 0.9 * LIMIT < snapshots[-1].ego.speed <= LIMIT + 0.1
    jerks = np.diff([s.ego.acceleration for s in snapshots]) / 0.1
    assert np.abs(jerks).max() < 4.0
    assert abs(snapshots[-1].ego.position[1]) < 0.02
    assert max(abs(s.ego.yaw_rate) for s in snapshots) < 0.3


def test_it_stops_gently_behind_a_standing_car() -> None:
    snapshots = drive(StraightWorld((car(1, 90.0),)), 200)
    last = snapshots[-1].ego
    gap = 90.0 - 2.25 - (last.position[0] + FRONT)
    assert last.speed < 0.2
    assert 1.0 < gap < 5.0
    assert min(s.ego.acceleration for s in snapshots) > -3.0


def test_it_waits_at_a_red_light_and_goes_at_green() -> None:
    world = StraightWorld((), red_until_s=15.0)
    driver = ExpertDriver(world)
    waiting = [world.step(driver.step(world)) for _ in range(150)]
    assert 55.0 < waiting[-1].ego.position[0] + FRONT < 60.0
    assert waiting[-1].ego.speed < 0.2
    assert min(s.ego.acceleration for s in waiting) > -3.0
    going = [world.step(driver.step(world)) for _ in range(60)]
    assert going[-1].ego.speed > 5.0


def test_it_lets_people_cross_and_goes_on_behind_them() -> None:
    snapshots = drive(StraightWorld((walker(1, 82.0, 9.0, (0.0, -1.2)),)), 200)
    assert min(map(room, snapshots)) > 0.5
    crossing = [s for s in snapshots if -1.8 < s.agents[0].center[1] < 1.8]
    assert all(s.ego.position[0] + FRONT < 82.0 for s in crossing)
    assert snapshots[-1].ego.position[0] > 90.0


def test_people_on_the_sidewalk_do_not_slow_it_down() -> None:
    free = drive(StraightWorld(()), 100)[-1].ego.position[0]
    beside = drive(StraightWorld((walker(1, 60.0, -2.6, (-1.3, 0.0)), walker(2, 30.0, -2.6, (1.3, 0.0)))), 100)
    assert beside[-1].ego.position[0] == pytest.approx(free, abs=0.1)


def test_it_gives_parked_cars_room_without_stopping() -> None:
    parked = tuple(car(k, 60.0 + 12.0 * k, -2.35, parked=True) for k in range(3))
    snapshots = drive(StraightWorld(parked), 150)
    assert min(map(room, snapshots)) > 0.3
    assert snapshots[-1].ego.position[0] > 120.0
    assert min(s.ego.speed for s in snapshots) > 6.0
    assert max(abs(s.ego.yaw_rate) for s in snapshots) < 0.2


def test_it_does_not_hit_a_lead_that_brakes_as_hard_as_it_can() -> None:
    world = StraightWorld((car(1, 30.0, speed=9.0),), speed=9.0)
    driver = ExpertDriver(world)
    rooms = []
    for step in range(120):
        if step >= 30:
            slower = max(0.0, 9.0 - 0.7 * (step - 29))
            world.change(1, lambda a, v=slower: replace(a, velocity=np.array([v, 0.0])))
        rooms.append(room(world.step(driver.step(world))))
    assert min(rooms) > 0.3
    assert world.snapshot.ego.speed < 0.2


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(ScenarioKind.FOUR_WAY_LIGHTS, 3, lanes=1, turn=Command.LEFT, density=0.4, duration_s=8.0),
        Scenario(ScenarioKind.CUT_IN, 9, lanes=2, duration_s=10.0),
        Scenario(ScenarioKind.HARD_BRAKING, 11, lanes=1, duration_s=10.0),
    ],
    ids=lambda scenario: scenario.kind.value,
)
def test_it_drives_in_traffic_without_touching_anybody(scenario: Scenario) -> None:
    pytest.importorskip("traci", reason="the engines of driving worlds are not installed (make setup-world)")
    trial = run_trial(scenario)
    assert trial.collisions == ()
    assert trial.off_road_steps == trial.red_lights_run == 0
    assert trial.metres > 15.0
    assert trial.hardest_braking > -6.5
    assert trial.agents > 0


def test_the_check_prints_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("traci", reason="the engines of driving worlds are not installed (make setup-world)")
    out = tmp_path / "check.json"
    arguments = ["world", "check", "--scenes", "2", "--kinds", "empty", "--seconds", "1", "--workers", "2"]
    assert main([*arguments, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 scenes" in said and "100.0% free of collisions" in said
    assert '"collision_free": 1.0' in out.read_text()


def test_the_check_refuses_wrong_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "check", "--scenes", "0"]) == 2
    assert "--scenes must be 1 or more" in capsys.readouterr().err
