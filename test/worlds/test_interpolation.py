"""The world between two steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from distilldrive_ros.worlds.interpolation import snapshot_between
from distilldrive_ros.worlds.world import Agent, EgoState, Snapshot


def agent(number: int, x: float, yaw: float = 0.0, speed: float = 10.0) -> Agent:
    size, velocity = np.array([4.5, 1.8, 1.5]), np.array([speed, 0.0])
    return Agent(number, "vehicle.car", "", np.array([x, 2.0, 0.75]), yaw, size, velocity, number, walked=x)


def snapshot(time_ns: int, x: float, yaw: float, *agents: Agent) -> Snapshot:
    return Snapshot(time_ns, EgoState(np.array([x, 0.0]), yaw, 5.0, 1.0), agents)


def test_places_and_headings_are_linear_the_short_way_round() -> None:
    before = snapshot(0, 0.0, 3.1, agent(1, 10.0, -3.1))
    after = snapshot(100, 1.0, -3.1, agent(1, 11.0, 3.1))
    now = snapshot_between(before, after, 25)
    assert now.time_ns == 25 and now.ego.position[0] == pytest.approx(0.25)
    half_gap = np.pi - 3.1
    assert now.ego.yaw == pytest.approx(3.1 + 0.5 * half_gap)
    (moved,) = now.agents
    assert moved.center[0] == pytest.approx(10.25) and moved.yaw == pytest.approx(-3.1 - 0.5 * half_gap)
    assert moved.walked == pytest.approx(10.25)


def test_the_ends_are_the_steps_themselves_and_nothing_lies_beyond() -> None:
    before, after = snapshot(0, 0.0, 0.0), snapshot(100, 1.0, 0.0)
    assert snapshot_between(before, after, 0) is before and snapshot_between(before, after, 100) is after
    for outside in (-1, 101):
        with pytest.raises(ValueError, match="not between"):
            snapshot_between(before, after, outside)


def test_who_comes_or_goes_is_seen_on_the_nearer_side_moving_on() -> None:
    step = 100_000_000
    before = snapshot(0, 0.0, 0.0, agent(1, 10.0))
    after = snapshot(step, 1.0, 0.0, agent(2, 20.0))
    early = snapshot_between(before, after, step // 4)
    late = snapshot_between(before, after, 3 * step // 4)
    assert [a.id for a in early.agents] == [1] and early.agents[0].center[0] == pytest.approx(10.25)
    assert [a.id for a in late.agents] == [2] and late.agents[0].center[0] == pytest.approx(19.75)
    assert replace(late.agents[0], center=None, walked=0) == replace(after.agents[0], center=None, walked=0)
