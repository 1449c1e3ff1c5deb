"""Other road users in pseudo closed loop: as recorded, or vehicles that react by the intelligent driver model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.contacts import object_corners
from distilldrive_ros.planning.pdm.idm import IdmParameters, corridor
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import TIME_STEP_S, ObjectKind, ObjectTracks

Array = NDArray[np.float64]

# NAVSIM v2's background traffic (spec 7.7).
AGENT_IDM = IdmParameters(min_gap=1.0, headway=1.5, acceleration=1.0, deceleration=2.0, exponent=10.0)
FREE_SPEED = 10.0
RADIUS_M = 100.0
LEAD_UPDATE_STEPS = 2
# Vehicles that travel less than this in the whole recording are parked, m.
PARKED_TRAVEL_M = 2.0
# Recorded places nearer to each other give no direction, m.
PATH_SPACING_M = 0.5
# Where the way is free, the recorded speed is approached within this time and with at most this acceleration.
FOLLOW_TIME_S = 0.5
FOLLOW_ACCELERATION = 4.0


@dataclass
class _Reactive:
    """A vehicle that moves by itself along its recorded path."""

    index: int
    first: int
    path: Path
    recorded_along: Array
    recorded_heading: Array
    position: float
    speed: float
    gap: float = np.inf
    lead_speed: float = 0.0


class Traffic:
    """Objects of a scene, advanced in steps of 0.1 s while the ego drives.

    Log replay: everything moves as recorded. Reactive: a vehicle that moved in the recording keeps its recorded path
    and, where nothing is ahead, its recorded speed; it brakes by the intelligent driver model for the ego and for all
    objects in its way. Its free speed is the recorded one and not NAVSIM's 10 m/s, because there are no traffic lights
    here to stop it. Everything else moves as recorded, and all appear and vanish when recorded.
    """

    def __init__(self, recorded: ObjectTracks, reactive: bool) -> None:
        """Start at the first instant of the recording."""
        self._recorded = recorded
        self.tracks = ObjectTracks(
            recorded.tokens,
            recorded.kinds,
            recorded.sizes,
            recorded.poses.copy(),
            recorded.velocities.copy(),
            recorded.present,
        )
        self._agents = [agent for agent in map(self._agent, range(len(recorded.tokens))) if agent] if reactive else []

    def advance(self, step: int, ego: Array) -> None:
        """Set the objects of instant `step + 1` from those of `step` and the ego's state (11,) at `step`."""
        if not self._agents or step + 1 >= self.tracks.steps:
            return
        near = [a for a in self._agents if a.first <= step and self._distance(a, step, ego) <= RADIUS_M]
        if step % LEAD_UPDATE_STEPS == 0:
            corners, velocities, here = self._surroundings(step, ego)
            for agent in near:
                others = here != agent.index
                ahead = corridor(agent.path, self._width(agent), corners[others], velocities[others])
                gap, speed = ahead.lead(np.array(agent.position), self._recorded.sizes[agent.index, 0] / 2)
                agent.gap, agent.lead_speed = float(gap), float(speed)
        for agent in near:
            self._move(agent, step)

    def _agent(self, index: int) -> _Reactive | None:
        recorded = self._recorded
        present = np.flatnonzero(recorded.present[index])
        if recorded.kinds[index] is not ObjectKind.VEHICLE or len(present) < 2:
            return None
        poses = recorded.poses[index, present]
        taken = [0]
        for number in range(1, len(poses)):
            if np.linalg.norm(poses[number, :2] - poses[taken[-1], :2]) >= PATH_SPACING_M:
                taken.append(number)
        if np.linalg.norm(np.diff(poses[taken, :2], axis=0), axis=1).sum() < PARKED_TRAVEL_M:
            return None
        path = Path(poses[taken, :2])
        along, _ = path.locate(poses[:, :2])
        along = np.maximum.accumulate(along)
        first = int(present[0])
        speed = float(np.linalg.norm(recorded.velocities[index, first]))
        return _Reactive(index, first, path, along, np.unwrap(poses[:, 2]), float(along[0]), speed)

    def _move(self, agent: _Reactive, step: int) -> None:
        wanted = float(np.linalg.norm(self._recorded.velocities[agent.index, step + 1]))
        free = np.clip((wanted - agent.speed) / FOLLOW_TIME_S, -FOLLOW_ACCELERATION, FOLLOW_ACCELERATION)
        target = max(FREE_SPEED, wanted)
        reaction = AGENT_IDM.accelerate(agent.speed, target, agent.gap, agent.lead_speed)
        moved = agent.speed * TIME_STEP_S
        agent.position += moved
        agent.gap += agent.lead_speed * TIME_STEP_S - moved
        agent.speed = max(0.0, agent.speed + min(float(free), float(reaction)) * TIME_STEP_S)
        x, y, direction = agent.path.poses(agent.position)
        heading = np.interp(agent.position, agent.recorded_along, agent.recorded_heading)
        self.tracks.poses[agent.index, step + 1] = x, y, wrap(np.asarray(heading))
        self.tracks.velocities[agent.index, step + 1] = agent.speed * np.cos(direction), agent.speed * np.sin(direction)

    def _surroundings(self, step: int, ego: Array) -> tuple[Array, Array, NDArray[np.int64]]:
        """Corners (N, 4, 2), velocities (N, 2) and numbers (N,) of what is present; the ego has number -1."""
        here = np.flatnonzero(self.tracks.present[:, step])
        now = ObjectTracks(
            tuple(self.tracks.tokens[i] for i in here),
            tuple(self.tracks.kinds[i] for i in here),
            self.tracks.sizes[here],
            self.tracks.poses[here, step : step + 1],
            self.tracks.velocities[here, step : step + 1],
            self.tracks.present[here, step : step + 1],
        )
        speed, heading = ego[State.VX], ego[State.HEADING]
        own = np.array([[speed * np.cos(heading), speed * np.sin(heading)]])
        return (
            np.concatenate([object_corners(now)[:, 0], PACIFICA.corners(ego[None, :3])]),
            np.concatenate([now.velocities[:, 0], own]),
            np.append(here, -1),
        )

    def _distance(self, agent: _Reactive, step: int, ego: Array) -> float:
        return float(np.linalg.norm(self.tracks.poses[agent.index, step, :2] - ego[:2]))

    def _width(self, agent: _Reactive) -> float:
        return float(self._recorded.sizes[agent.index, 1])
