"""Generated worlds with SUMO behind them."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest
import shapely

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind, draw_scenario
from distilldrive_ros.worlds.traffic.engine import limited
from distilldrive_ros.worlds.traffic.session import GeneratedSession
from distilldrive_ros.worlds.world import EgoState, Snapshot

pytest.importorskip("traci", reason="the engines of driving worlds are not installed (make setup-world)")

STRAIGHT = Scenario(ScenarioKind.STRAIGHT, seed=5, density=0.9)
LIGHTS = Scenario(ScenarioKind.FOUR_WAY_LIGHTS, seed=3, turn=Command.LEFT, density=0.8, pedestrians=1.0)


def drive(session: GeneratedSession, steps: int, speed: float) -> list[Snapshot]:
    """The ego goes along its route at one speed, whoever is there."""
    line = shapely.LineString(session.route.centerline)
    out = []
    for step in range(1, steps + 1):
        along = step * speed * session.period_ns / 1e9
        here, ahead = line.interpolate(along), line.interpolate(along + 0.5)
        yaw = math.atan2(ahead.y - here.y, ahead.x - here.x)
        out.append(session.step(EgoState(np.array([here.x, here.y]), yaw, speed)))
    return out


def trace(snapshots: list[Snapshot]) -> list[tuple[object, ...]]:
    return [
        (s.time_ns, [(a.id, a.category, *a.center.tolist(), a.yaw) for a in s.agents], sorted(s.lights.items()))
        for s in snapshots
    ]


def test_traffic_moves_smoothly_around_the_ego() -> None:
    with GeneratedSession(LIGHTS) as session:
        assert session.place.lights and session.place.crossings and session.place.intersections
        assert [turn for _, _, turn in session.route.turns] == [Command.LEFT]
        snapshots = [session.snapshot, *drive(session, 60, 5.0)]
    assert [s.time_ns for s in snapshots] == [100_000_000 * k for k in range(61)]
    assert {a.category.split(".")[0] for a in snapshots[-1].agents} == {"vehicle", "human"}
    assert all(set(s.lights) == {light.token for light in session.place.lights} for s in snapshots)
    seen: dict[int, tuple[np.ndarray, float]] = {}
    moved = 0
    for snapshot in snapshots:
        for agent in snapshot.agents:
            before = seen.get(agent.id)
            seen[agent.id] = agent.center, agent.yaw
            if before is None:
                continue
            assert np.linalg.norm(agent.center - before[0]) < 2.5
            if agent.category.startswith("vehicle"):
                assert abs(math.remainder(agent.yaw - before[1], 2 * math.pi)) < 0.25
            moved += 1
    assert moved > 500


def test_equal_scenarios_give_equal_worlds_side_by_side() -> None:
    with GeneratedSession(STRAIGHT) as first, GeneratedSession(STRAIGHT) as second:
        assert first.place.lanes[0].centerline.tolist() == second.place.lanes[0].centerline.tolist()
        assert [s.position.tolist() for s in first.place.scenery] == [s.position.tolist() for s in second.place.scenery]
        assert trace(drive(first, 30, 8.0)) == trace(drive(second, 30, 8.0))


def test_who_follows_the_ego_stops_behind_it() -> None:
    with GeneratedSession(STRAIGHT) as session:
        line = session.route.centerline
        yaw = math.atan2(*(line[1] - line[0])[::-1])
        ego = EgoState(line[0], yaw, 0.0)
        snapshots = [session.step(ego) for _ in range(200)]
    behind = []
    for agent in snapshots[-1].agents:
        dx, dy = agent.center[:2] - ego.position
        ahead, left = math.cos(yaw) * dx + math.sin(yaw) * dy, math.cos(yaw) * dy - math.sin(yaw) * dx
        if abs(left) < 1.0 and -20 < ahead < 0:
            behind.append((ahead + agent.size[0] / 2, agent))
    bumper, follower = max(behind, key=lambda pair: pair[0])
    assert bumper < -1.127
    assert np.linalg.norm(follower.velocity) < 0.1


def test_a_lost_engine_is_one_clear_error() -> None:
    session = GeneratedSession(STRAIGHT)
    assert session._engine is not None and session._engine._process is not None
    session._engine._process.kill()
    session._engine._process.wait()
    with pytest.raises(WorldError, match="traffic engine failed"):
        drive(session, 2, 5.0)
    session.close()
    session.close()
    with pytest.raises(WorldError, match="closed"):
        drive(session, 1, 5.0)


def test_an_ego_that_is_nowhere_is_refused() -> None:
    with (
        GeneratedSession(Scenario(ScenarioKind.EMPTY, 1, density=0.0, pedestrians=0.0)) as session,
        pytest.raises(WorldError, match="not finite"),
    ):
        session.step(EgoState(np.array([math.nan, 0.0]), 0.0, 0.0))


def test_an_engine_that_hangs_is_ended_with_one_clear_error() -> None:
    session = GeneratedSession(draw_scenario(3, [ScenarioKind.EMPTY]))
    assert session._engine is not None and session._engine._process is not None
    process = session._engine._process
    limited(session._engine._connection, 0.5)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(WorldError, match=r"has not answered for 120 s and was ended; .* take another seed"):
        session.step(session.snapshot.ego)
    assert process.poll() is not None
    session.close()


def test_a_missing_engine_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("SUMO_HOME", raising=False)
    with pytest.raises(WorldError, match="make setup-world"):
        GeneratedSession(STRAIGHT)
