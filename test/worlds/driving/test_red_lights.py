"""Traffic lights in closed loop: who runs a red one, who does not, and what the scores make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import shapely

from distilldrive_ros.evaluation.closed_loop.log_world import LogWorld
from distilldrive_ros.evaluation.closed_loop.result import drive_result, score_windows, summary
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.worlds.driving.closed_loop import ClosedLoop, DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import EventKind
from distilldrive_ros.worlds.driving.plan import DrivingPlan
from distilldrive_ros.worlds.driving.red_lights import ruled_connectors
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import LightState, TrafficLight, WorldLane

RED, YELLOW, GREEN = LightState.RED, LightState.YELLOW, LightState.GREEN
JUNCTION = (70.0, 90.0)
TIMES = np.arange(1, 9) * 0.5


def lane(token: str, line: list[tuple[float, float]], before: str, after: str, connector: bool = False) -> WorldLane:
    points = np.array(line, np.float64)
    outline = shapely.LineString(points).buffer(1.75, cap_style="flat")
    known = tuple((name,) if name else () for name in (after, before))
    return WorldLane(token, points, 3.5, 13.9, connector, *known, outline)


def lit_world(small_world: ModuleType, shows: Callable[[float], LightState], **arguments: Any) -> Any:
    """The small world with a junction from 70 to 90 m, whose light shows what `shows` says of the time in s.

    A second connector merges into the way from the side; its light is always red.
    """

    class Lit(small_world.SmallWorld):  # type: ignore[name-defined,misc]
        @property
        def snapshot(self) -> Any:
            bare = super().snapshot
            return replace(bare, lights={"own": shows(bare.time_ns * 1e-9), "side": RED})

    world = Lit(**arguments)
    x0, x1 = JUNCTION
    lanes = (
        lane("before", [(0, 0), (x0, 0)], "", "over"),
        lane("over", [(x0, 0), (x1, 0)], "before", "after", True),
        lane("merge", [(x0, 20), (x0 + 5, 4), (x1, 0)], "from the side", "after", True),
        lane("after", [(x1, 0), (300, 0)], "over", ""),
        next(piece for piece in world.place.lanes if piece.token == "left"),
    )
    lights = tuple(
        TrafficLight(token, np.array([95.0, 0.0, 5.0]), np.pi, (ruled,))
        for token, ruled in (("own", "over"), ("side", "merge"))
    )
    world.place = replace(world.place, lanes=lanes, lights=lights)
    world.route = Route(("before", "over", "after"), world.path.points, ())
    return world


def drive(world: Any, speed: float = 8.0, steps: int = 150) -> ClosedLoop:
    """At one speed along the road."""
    loop = ClosedLoop(world, DrivingSettings(route_m=120.0))
    for _ in range(steps):
        if loop.ended:
            break
        loop.give(DrivingPlan(loop.time_ns, TIMES, np.column_stack([speed * TIMES, 0 * TIMES, 0 * TIMES])))
        loop.advance()
    return loop


def test_who_drives_past_a_red_light_has_run_it(small_world: ModuleType) -> None:
    loop = drive(lit_world(small_world, lambda seconds: RED))
    (event,) = [e for e in loop.log.events if e.kind is EventKind.RED_LIGHT]
    assert event.detail == "the vehicle drives past a red traffic light (own) at 8.0 m/s"
    front = 10.0 + 8.0 * event.time_ns * 1e-9 + loop.log.vehicle.front_length
    assert JUNCTION[0] <= front <= JUNCTION[0] + 0.9
    result = drive_result(loop.log)
    assert (result.lights_passed, result.red_lights_run) == (1, 1) and "1 red light(s) run" in result.sentence
    assert 0.0 < result.extended_scores["traffic_light"] < 1.0
    assert result.extended_scores["score"] < result.scores["score"]
    assert summary([result])["red_lights_run"] == 1
    assert summary([result])["extended_scores"]["traffic_light"] == result.extended_scores["traffic_light"]


@pytest.mark.parametrize(
    "shows",
    [
        lambda seconds: GREEN,
        lambda seconds: YELLOW,
        # Red comes when the vehicle is on the junction already.
        lambda seconds: GREEN if seconds < 8.0 else RED,
    ],
    ids=["green", "yellow", "red afterwards"],
)
def test_who_entered_while_it_was_open_has_not(small_world: ModuleType, shows: Any) -> None:
    loop = drive(lit_world(small_world, shows))
    result = drive_result(loop.log)
    assert (result.lights_passed, result.red_lights_run) == (1, 0)
    assert result.extended_scores["traffic_light"] == 1.0
    assert not any("own" in closed for closed, s in zip(loop.log.closed, loop.log.snapshots, strict=True)
                   if JUNCTION[0] - 3 < s.ego.position[0] < JUNCTION[1])  # fmt: skip


def test_a_light_is_closed_again_for_who_has_not_passed_it(small_world: ModuleType) -> None:
    loop = drive(lit_world(small_world, lambda seconds: RED), speed=8.0, steps=40)
    assert all(closed == {"own"} for closed in loop.log.closed) and loop.log.lights_passed == 0


def test_who_waits_makes_all_the_progress_there_is(small_world: ModuleType) -> None:
    """At a red light the reference proposal waits, too: waiting costs neither PDMS nor EPDMS."""
    stop = JUNCTION[0] - 4.5
    world = lit_world(small_world, lambda seconds: RED, speed=0.0, start=stop)
    loop = ClosedLoop(world)
    for _ in range(60):
        loop.advance()
    windows = score_windows(LogWorld(loop.log))
    assert all(w.pdms.ego_progress[1] == 1.0 and w.epdms.ego_progress[1] == 1.0 for w in windows)
    start = LogWorld(loop.log).at(0)
    assert [light.token for light in start.red_lights] == ["over"] and start.red_lights[0].red.all()
    assert plan_pdm_closed(start).states[-1, 0] < JUNCTION[0] - loop.log.vehicle.front_length
    free = replace(start, red_lights=())
    assert plan_pdm_closed(free).states[-1, 0] > JUNCTION[0]


def test_lights_of_those_who_merge_from_the_side_are_not_ones_own(small_world: ModuleType) -> None:
    world = lit_world(small_world, lambda seconds: GREEN)
    ruled = ruled_connectors(world.place, world.route)
    assert {token: [piece.token for piece in lanes] for token, lanes in ruled.items()} == {"own": ["over"]}
    assert ruled_connectors(small_world.SmallWorld().place, world.route) == {}
