"""The loop itself: it follows plans, brakes without one, and ends for the right reason."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError, WorldError
from distilldrive_ros.worlds.driving.closed_loop import ClosedLoop, DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import EndReason, EventKind
from distilldrive_ros.worlds.driving.plan import DrivingPlan

TIMES = np.arange(1, 7) * 0.5


def along_the_road(loop: ClosedLoop, session: Any, speed: float) -> DrivingPlan:
    """A plan for 3 s on the route's centre line."""
    ego = loop.snapshot.ego
    start = float(session.path.locate(ego.position)[0])
    world = session.path.poses(start + speed * TIMES)
    c, s = np.cos(ego.yaw), np.sin(ego.yaw)
    offset = world[:, :2] - ego.position
    xy = offset @ np.array([[c, -s], [s, c]])
    return DrivingPlan(loop.time_ns, TIMES, np.column_stack([xy, world[:, 2] - ego.yaw]))


def drive(session: Any, settings: DrivingSettings | None = None, speed: float = 8.0, steps: int = 1000) -> ClosedLoop:
    """A new plan every half a second, until the end."""
    loop = ClosedLoop(session, settings)
    for step in range(steps):
        if loop.ended:
            break
        if step % 5 == 0:
            loop.give(along_the_road(loop, session, speed))
        loop.advance()
    return loop


@pytest.mark.parametrize(("follower", "off_m"), [("lqr", 0.9), ("pure_pursuit", 0.2)])
def test_it_stays_in_its_lane_round_a_corner_and_arrives(small_world: ModuleType, follower: str, off_m: float) -> None:
    session = small_world.SmallWorld(small_world.LEFT_TURN)
    loop = drive(session, DrivingSettings(follower=follower), speed=6.0)
    assert loop.ended is EndReason.ARRIVED
    places = np.array([s.ego.position for s in loop.log.snapshots])
    _, left = session.path.locate(places)
    assert np.abs(left).max() < off_m and loop.log.off_road_steps == 0
    assert loop.log.completion > 0.9 and not any(loop.log.braked)
    speeds = [s.ego.speed for s in loop.log.snapshots[30:]]
    assert np.mean(speeds) == pytest.approx(6.0, abs=0.3)


def test_the_command_is_left_before_and_in_the_turn_only(small_world: ModuleType) -> None:
    session = small_world.SmallWorld(small_world.LEFT_TURN)
    loop = ClosedLoop(session)
    seen = []
    while not loop.ended:
        along = float(session.path.locate(loop.snapshot.ego.position)[0])
        seen.append((along, loop.command))
        loop.give(along_the_road(loop, session, 6.0))
        loop.advance()
    commands = {command for along, command in seen if 55 < along < 80}
    assert commands == {Command.LEFT}
    assert {command for along, command in seen if along < 45 or along > 92} == {Command.STRAIGHT}


@pytest.mark.parametrize("follower", ["lqr", "pure_pursuit"])
def test_a_plan_to_stand_still_stops_the_vehicle_without_reversing(small_world: ModuleType, follower: str) -> None:
    loop = ClosedLoop(small_world.SmallWorld(speed=8.0), DrivingSettings(follower=follower, time_limit_s=8.0))
    begin = loop.snapshot.ego.position[0]
    while not loop.ended:
        here = max(0.0, 15.0 - (loop.snapshot.ego.position[0] - begin))
        speed = loop.snapshot.ego.speed
        times = np.minimum(TIMES, 2 * here / max(speed, 0.1))
        x = speed * times - speed**2 / (4 * max(here, 0.01)) * times**2
        loop.give(DrivingPlan(loop.time_ns, TIMES, np.column_stack([np.maximum.accumulate(x), 0 * x, 0 * x])))
        loop.advance()
    speeds = np.array([s.ego.speed for s in loop.log.snapshots])
    assert loop.ended is EndReason.TIME_LIMIT and speeds[-1] < 0.3 and speeds.min() >= 0.0
    assert loop.snapshot.ego.position[0] - begin < 25.0


def test_without_any_plan_it_keeps_its_speed_for_a_while_and_then_brakes_to_a_stop(small_world: ModuleType) -> None:
    loop = ClosedLoop(small_world.SmallWorld(speed=8.0), DrivingSettings(max_plan_age_s=1.0, time_limit_s=6.0))
    while not loop.ended:
        loop.advance()
    speeds = np.array([s.ego.speed for s in loop.log.snapshots])
    assert (speeds[:11] == 8.0).all() and speeds[-1] == 0.0 and (np.diff(speeds) <= 0).all()
    (event,) = [e for e in loop.log.events if e.kind is EventKind.NO_PLAN]
    assert event.detail == "there is no plan; the vehicle brakes" and event.time_ns == 1_000_000_000
    assert sum(loop.log.braked) == 50 and loop.ended is EndReason.TIME_LIMIT


def test_a_silent_planner_is_followed_until_its_last_plan_is_too_old(small_world: ModuleType) -> None:
    session = small_world.SmallWorld()
    loop = ClosedLoop(session, DrivingSettings(max_plan_age_s=1.0, time_limit_s=4.0))
    loop.give(along_the_road(loop, session, 8.0))
    for _ in range(20):
        loop.advance()
    assert [e.detail for e in loop.log.events] == ["the newest plan is 1.0 s old; the vehicle brakes"]
    assert loop.snapshot.ego.speed < 6.0
    assert loop.give(along_the_road(loop, session, 8.0)) == ""
    loop.advance()
    assert loop.log.events[-1].kind is EventKind.PLAN_AGAIN


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s, p.poses * np.nan), "it holds NaN or infinity"),
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s, p.poses + 1e6), "it leads farther than 1000 m"),
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s[:0], p.poses[:0]), "it holds no pose"),
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s[::-1], p.poses), "its times do not increase"),
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s * 0.1, p.poses), "it ends 0.30 s ahead, 0.5 s are needed"),
        (lambda p: DrivingPlan(p.stamp_ns, p.times_s[1:], p.poses), "do not fit"),
        (lambda p: DrivingPlan(p.stamp_ns + 10**9, p.times_s, p.poses), "its stamp 2.000 s is none of the last"),
        (lambda p: DrivingPlan(-(10**12), p.times_s, p.poses), "is none of the last 100 steps"),
    ],
)
def test_a_plan_that_cannot_be_driven_is_refused_and_it_brakes(small_world: ModuleType, spoil: Any, words: str) -> None:
    session = small_world.SmallWorld()
    loop = ClosedLoop(session)
    good = []
    for step in range(10):
        if step % 5 == 0:
            good.append(along_the_road(loop, session, 8.0))
            assert loop.give(good[-1]) == ""
        loop.advance()
    before = loop.snapshot.ego.speed
    plan = spoil(along_the_road(loop, session, 8.0))
    if plan.stamp_ns < 0:
        loop.refuse("the planner starts anew")
    assert words in loop.give(plan)
    for _ in range(10):
        loop.advance()
    assert loop.snapshot.ego.speed < before - 1.0
    kinds = [e.kind for e in loop.log.events]
    assert EventKind.PLAN_REFUSED in kinds and EventKind.NO_PLAN in kinds
    assert words in next(e.detail for e in reversed(loop.log.events) if e.kind is EventKind.PLAN_REFUSED)


def test_a_plan_older_than_the_present_one_changes_nothing(small_world: ModuleType) -> None:
    session = small_world.SmallWorld()
    loop = ClosedLoop(session)
    old = along_the_road(loop, session, 8.0)
    loop.advance()
    loop.give(along_the_road(loop, session, 8.0))
    assert loop.give(old) == "it is older than the plan being followed"
    loop.advance()
    assert not loop.log.events and len(loop.log.plans) == 1


def test_a_late_plan_is_followed_from_where_the_vehicle_was_at_its_stamp(small_world: ModuleType) -> None:
    places = []
    for late in (0, 4):
        session = small_world.SmallWorld(small_world.LEFT_TURN)
        loop = ClosedLoop(session)
        waiting: list[tuple[int, DrivingPlan]] = []
        for step in range(120):
            if step % 5 == 0:
                waiting.append((step + late, along_the_road(loop, session, 6.0)))
            while waiting and waiting[0][0] <= step:
                assert loop.give(waiting.pop(0)[1]) == ""
            loop.advance()
        places.append(session.path.locate(loop.snapshot.ego.position))
    assert abs(places[0][0] - places[1][0]) < 2.0 and abs(places[1][1]) < 0.6


def test_it_ends_with_whom_it_hits(small_world: ModuleType) -> None:
    parked = small_world.Driver(along=60.0, speed=0.0, wanted=0.0)
    loop = drive(small_world.SmallWorld(drivers=(parked,)))
    assert loop.ended is EndReason.COLLISION
    assert loop.log.events[-2].detail.startswith("the vehicle touches vehicle.car 0 at ")
    # Front bumper 4.05 m ahead of the rear axle, rear of the parked one at 57.75 m.
    assert loop.snapshot.ego.position[0] == pytest.approx(57.75 - 4.05, abs=0.85)


def test_it_ends_off_the_road(small_world: ModuleType) -> None:
    loop = ClosedLoop(small_world.SmallWorld())
    for step in range(100):
        if step % 5 == 0:
            loop.give(DrivingPlan(loop.time_ns, TIMES, np.column_stack([8 * TIMES, -2.0 * TIMES, -0.25 + 0 * TIMES])))
        loop.advance()
    assert loop.ended is EndReason.OFF_ROAD and loop.log.off_road_steps > 3
    assert [e.kind for e in loop.log.events] == [EventKind.LEFT_ROAD, EventKind.END]


def test_the_end_of_the_world_and_its_engine_are_ends_too(small_world: ModuleType) -> None:
    assert drive(small_world.SmallWorld(lasts=20)).ended is EndReason.WORLD_ENDED
    loop = drive(small_world.SmallWorld(fails_after=20))
    assert loop.ended is EndReason.ENGINE_FAILED and len(loop.log.states) == 21
    assert "the engine of this world has died" in loop.log.events[-1].detail
    assert loop.advance() is loop.snapshot, "nothing moves after the end"


def test_the_same_plans_give_the_same_drive(small_world: ModuleType) -> None:
    drives = [drive(small_world.SmallWorld(drivers=(small_world.Driver(40.0, 5.0, 9.0),))) for _ in range(2)]
    first, second = (np.array(loop.log.states) for loop in drives)
    assert (first == second).all()


def test_wrong_settings_and_worlds_are_refused(small_world: ModuleType) -> None:
    with pytest.raises(ConfigurationError, match="use one of lqr, pure_pursuit"):
        DrivingSettings(follower="pid")
    with pytest.raises(ConfigurationError, match="braking = nan must be a positive number"):
        DrivingSettings(braking=float("nan"))
    session = small_world.SmallWorld()
    session.period_ns = 50_000_000
    with pytest.raises(WorldError, match=r"moves in steps of 0.05 s; the vehicle needs 0.1 s"):
        ClosedLoop(session)
