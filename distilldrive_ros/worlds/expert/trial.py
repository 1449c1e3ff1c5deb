"""A drive of the expert through one scene, and what there is to say of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.driving_command import driving_commands
from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.geometry.rectangles import rectangles_overlap
from distilldrive_ros.planning.pdm.comfort import FLAG_NAMES, comfort_flags_v1
from distilldrive_ros.planning.pdm.states import STATE_SIZE, State
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.worlds.driving.red_lights import LightWatch
from distilldrive_ros.worlds.expert.driver import ExpertDriver
from distilldrive_ros.worlds.rig import nominal_rig
from distilldrive_ros.worlds.scenarios.scenario import Scenario
from distilldrive_ros.worlds.session import WorldSession
from distilldrive_ros.worlds.traffic.session import GeneratedSession
from distilldrive_ros.worlds.world import EgoState, Place, Snapshot

Array = NDArray[np.float64]

# Comfort is judged over windows of 4 s, one per 0.5 s, as NAVSIM's.
WINDOW_STEPS, WINDOW_SHIFT = 41, 5
# Key frames are 0.5 s apart: commands are counted at them.
KEY_FRAME_STEPS = 5
# Corners of the body may reach so far over the border, m.
BORDER_M = 0.1


@dataclass(frozen=True)
class Collision:
    """The first step at which the ego's body touched an agent's. `from_behind`: by somebody who drove into it."""

    time_s: float
    category: str
    ego_speed: float
    from_behind: bool


@dataclass(frozen=True)
class Trial:
    """A finished drive.

    `comfortable` of `windows` windows of 4 s keep all bounds of comfort; `discomfort` counts windows per broken bound.
    `commands` counts key frames by the command that the way driven asks for. `red_lights_run` of `lights_passed`
    traffic lights were red. `steps_per_second` includes traffic.
    """

    name: str
    kind: str
    turn: str
    seconds: float
    metres: float
    arrived: bool
    collisions: tuple[Collision, ...]
    off_road_steps: int
    lights_passed: int
    red_lights_run: int
    hardest_braking: float
    windows: int
    comfortable: int
    discomfort: dict[str, int]
    commands: dict[str, int]
    agents: float
    steps_per_second: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {**self.__dict__, "collisions": [hit.__dict__ for hit in self.collisions]}


def run_trial(scenario: Scenario) -> Trial:
    """Drive a scenario to its end.

    Raises:
        WorldError: it cannot be built, or the engine failed.
    """
    with GeneratedSession(scenario) as session:
        driver = ExpertDriver(session)
        snapshots = [session.snapshot]
        begin = time.perf_counter()
        while not session.ended and not driver.arrived:
            snapshots.append(session.step(driver.step(session)))
        elapsed = time.perf_counter() - begin
        return _judge(session, scenario, snapshots, driver.arrived, (len(snapshots) - 1) / max(elapsed, 1e-9))


def _judge(session: WorldSession, scenario: Scenario, snapshots: list[Snapshot], arrived: bool, pace: float) -> Trial:
    states = ego_states([snapshot.ego for snapshot in snapshots], session.period_ns / 1e9)
    flags = _comfort(states)
    discomfort = {
        name: int((~flags[:, index]).sum()) for index, name in enumerate(FLAG_NAMES) if not flags[:, index].all()
    }
    base_from_lidar = nominal_rig().lidar.base_from_lidar
    key_frames = [snapshot.ego.world_from_base @ base_from_lidar for snapshot in snapshots[::KEY_FRAME_STEPS]]
    watch = LightWatch(session.place, session.route, PACIFICA)
    lights = [watch.update(snapshot) for snapshot in snapshots]
    commands = Counter(label.command.name.lower() for label in driving_commands(key_frames))
    return Trial(
        name=scenario.name,
        kind=scenario.kind.value,
        turn=scenario.turn.name.lower(),
        seconds=(snapshots[-1].time_ns - snapshots[0].time_ns) / 1e9,
        metres=float(np.linalg.norm(np.diff(states[:, : State.Y + 1], axis=0), axis=1).sum()),
        arrived=arrived,
        collisions=tuple(_collisions(snapshots)),
        off_road_steps=_off_road(session.place, states),
        lights_passed=sum(len(report.entered) for report in lights),
        red_lights_run=sum(len(report.run) for report in lights),
        hardest_braking=float(states[:, State.AX].min()),
        windows=len(flags),
        comfortable=int(flags.all(axis=1).sum()),
        discomfort=discomfort,
        commands=dict(commands),
        agents=float(np.mean([len(snapshot.agents) for snapshot in snapshots])),
        steps_per_second=pace,
    )


def ego_states(egos: list[EgoState], period_s: float) -> Array:
    """States (T, 11) in the columns of `State`, from states every `period_s`."""
    out = np.zeros((len(egos), STATE_SIZE))
    for row, ego in zip(out, egos, strict=True):
        row[State.X : State.Y + 1] = ego.position
        row[[State.HEADING, State.VX, State.AX]] = ego.yaw, ego.speed, ego.acceleration
        row[[State.AY, State.STEERING_ANGLE, State.YAW_RATE]] = ego.speed * ego.yaw_rate, ego.steering, ego.yaw_rate
    out[1:, State.YAW_ACCELERATION] = np.diff(out[:, State.YAW_RATE]) / period_s
    return out


def _comfort(states: Array) -> NDArray[np.bool_]:
    """Flags (W, 6) of all whole windows; of a shorter drive, one over all of it."""
    length = min(WINDOW_STEPS, len(states))
    starts = range(0, len(states) - length + 1, WINDOW_SHIFT)
    return comfort_flags_v1(np.stack([states[start : start + length] for start in starts]), short_windows=True)


def _collisions(snapshots: list[Snapshot]) -> list[Collision]:
    """One per agent that is ever touched."""
    out: list[Collision] = []
    seen: set[int] = set()
    for snapshot in snapshots:
        ego = snapshot.ego
        pose = np.array([*ego.position, ego.yaw])
        body = np.array([*PACIFICA.centers(pose), PACIFICA.length, PACIFICA.width, ego.yaw])
        boxes = np.array([[*a.center[:2], *a.size[:2], a.yaw] for a in snapshot.agents]).reshape(-1, 5)
        for index in np.flatnonzero(rectangles_overlap(body, boxes)).tolist():
            agent = snapshot.agents[index]
            if agent.id in seen:
                continue
            seen.add(agent.id)
            local = inverse(ego.world_from_base)[:2] @ np.array([*agent.center[:2], 0.0, 1.0])
            behind = bool(local[0] < 0.0 and np.linalg.norm(agent.velocity) > ego.speed)
            out.append(Collision(snapshot.time_ns / 1e9, agent.category, ego.speed, behind))
    return out


def _off_road(place: Place, states: Array) -> int:
    """Steps at which a corner of the body is beyond the drivable area."""
    drivable = shapely.union_all(list(place.drivable)).buffer(BORDER_M)
    shapely.prepare(drivable)
    corners = PACIFICA.corners(states[:, : State.HEADING + 1])
    return int((~shapely.contains(drivable, shapely.points(corners))).any(axis=1).sum())
