"""A world between two of its steps: sensors fire when they like, the world moves in steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.worlds.world import Agent, EgoState, Snapshot

Array = NDArray[np.float64]


def snapshot_between(before: Snapshot, after: Snapshot, time_ns: int) -> Snapshot:
    """The world at an instant from `before` to `after`: places, headings and speeds are linear, lights as before.

    An agent that is in one of the two only is shown while that one is the nearer, moving on with its velocity.

    Raises:
        ValueError: the instant lies outside.
    """
    if not before.time_ns <= time_ns <= after.time_ns:
        raise ValueError(f"{time_ns} ns is not between {before.time_ns} and {after.time_ns} ns")
    if time_ns == after.time_ns:
        return after
    if time_ns == before.time_ns:
        return before
    part = (time_ns - before.time_ns) / (after.time_ns - before.time_ns)
    later = {agent.id: agent for agent in after.agents}
    earlier = {agent.id for agent in before.agents}
    agents = []
    for agent in before.agents:
        if agent.id in later:
            agents.append(_agent_between(agent, later[agent.id], part))
        elif part < 0.5:
            agents.append(_moved(agent, (time_ns - before.time_ns) * 1e-9))
    if part >= 0.5:
        agents += [_moved(a, (time_ns - after.time_ns) * 1e-9) for a in after.agents if a.id not in earlier]
    return Snapshot(time_ns, ego_between(before.ego, after.ego, part), tuple(agents), before.lights)


def ego_between(before: EgoState, after: EgoState, part: float) -> EgoState:
    """The vehicle on its way from one state (`part` 0) to another (1)."""

    def mean(a: float, b: float) -> float:
        return a + (b - a) * part

    return EgoState(
        position=before.position + (after.position - before.position) * part,
        yaw=before.yaw + _turn(before.yaw, after.yaw) * part,
        speed=mean(before.speed, after.speed),
        acceleration=mean(before.acceleration, after.acceleration),
        yaw_rate=mean(before.yaw_rate, after.yaw_rate),
        steering=mean(before.steering, after.steering),
    )


def _agent_between(before: Agent, after: Agent, part: float) -> Agent:
    return replace(
        before,
        center=before.center + (after.center - before.center) * part,
        yaw=before.yaw + _turn(before.yaw, after.yaw) * part,
        velocity=before.velocity + (after.velocity - before.velocity) * part,
        walked=before.walked + (after.walked - before.walked) * part,
    )


def _moved(agent: Agent, seconds: float) -> Agent:
    shift = np.append(agent.velocity * seconds, 0.0)
    walked = agent.walked + float(np.linalg.norm(agent.velocity)) * seconds
    return replace(agent, center=agent.center + shift, walked=walked)


def _turn(before: float, after: float) -> float:
    """The shorter way from one heading to another, radians."""
    return float(wrap(after - before))
