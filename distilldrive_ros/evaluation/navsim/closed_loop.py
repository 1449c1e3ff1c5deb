"""Pseudo closed loop: a planner drives NAVSIM's vehicle through a recorded scene; PDMS of what it drove.

The ego plans anew every 0.5 s and is driven along the plan by the simulator of the scorers. Sensors are not simulated:
planners see the ego's state, and privileged ones the map and the objects of the moment. Every window of 4 s that was
driven, one per 0.5 s, gets a PDMS among the objects as they moved in this run; progress is relative to the reference
planner's proposal from the window's start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.navsim.traffic import Traffic
from distilldrive_ros.models.baselines.motion import constant_turn_rate_and_acceleration, constant_velocity
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.pdms import PdmsScores, score_pdms
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.proposals import reference_poses
from distilldrive_ros.planning.pdm.simulator import simulate
from distilldrive_ros.planning.pdm.world import EGO_STATES, TRACK_STATES_V1, NavsimWorld, ObjectTracks

Array = NDArray[np.float64]

# Reference poses (41, 3) in the world's frame; of the world's objects only the first instant may be looked at.
Planner = Callable[[NavsimWorld], Array]

PLAN_STEPS = 5
SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "ego_progress",
    "time_to_collision",
    "comfort",
    "score",
)


@dataclass(frozen=True)
class Rollout:
    """A drive of T instants: states (T, 11) of the ego and the objects as they moved."""

    states: Array
    objects: ObjectTracks


def plan_constant_velocity(world: NavsimWorld) -> Array:
    """Straight on at the present speed."""
    positions, headings, _ = constant_velocity(world.ego.vx, world.ego.vy, _times())
    return _references(world, positions, headings)


def plan_ctra(world: NavsimWorld) -> Array:
    """Constant turn rate and acceleration."""
    ego = world.ego
    positions, headings, _ = constant_turn_rate_and_acceleration(ego.vx, ego.yaw_rate, ego.ax, _times())
    return _references(world, positions, headings)


def plan_reference(world: NavsimWorld) -> Array:
    """The reference planner; privileged."""
    return plan_pdm_closed(world).references


PLANNERS: dict[str, Planner] = {
    "constant_velocity": plan_constant_velocity,
    "ctra": plan_ctra,
    "pdm_closed": plan_reference,
}


def drive(worlds: SceneWorlds, planner: Planner, reactive: bool, fidelity: Fidelity = COMPATIBLE) -> Rollout:
    """Drive through a scene from its first instant to its last.

    Args:
        worlds: the scene.
        planner: asked every `PLAN_STEPS` instants.
        reactive: whether recorded vehicles react, see `traffic.Traffic`.
        fidelity: of the simulator.
    """
    traffic = Traffic(worlds.objects, reactive)
    states = np.empty_like(worlds.ego)
    states[0] = worlds.ego[0]
    for start in range(0, worlds.steps - 1, PLAN_STEPS):
        world = worlds.world(start, states[start], traffic.tracks)
        driven = simulate(planner(world)[None], world.ego, fidelity)[0]
        for offset in range(min(PLAN_STEPS, worlds.steps - 1 - start)):
            states[start + offset + 1] = driven[offset + 1]
            traffic.advance(start + offset, states[start + offset])
    return Rollout(states, traffic.tracks)


def recorded_drive(worlds: SceneWorlds) -> Rollout:
    """What the recorded driver did, for comparison."""
    return Rollout(worlds.ego, worlds.objects)


def score_rollout(worlds: SceneWorlds, rollout: Rollout, fidelity: Fidelity = COMPATIBLE) -> list[PdmsScores]:
    """PDMS of all windows of a drive: number 0 of each is the reference proposal, number 1 what was driven.

    A scene of less than 5 s has no window.
    """
    out = []
    for start in range(0, worlds.steps - TRACK_STATES_V1 + 1, PLAN_STEPS):
        world = worlds.world(start, rollout.states[start], rollout.objects)
        reference = plan_pdm_closed(world, fidelity=fidelity).states
        driven = rollout.states[start : start + EGO_STATES]
        out.append(score_pdms(world, locate(np.stack([reference, driven]), world), fidelity))
    return out


def mean_scores(windows: list[PdmsScores]) -> dict[str, float]:
    """Mean of every sub-score and of the score over the windows, by the names of `SUB_SCORES`."""
    return {name: float(np.mean([getattr(window, name)[1] for window in windows])) for name in SUB_SCORES}


def _times() -> Array:
    return np.arange(1, 9, dtype=np.float64) * 0.5


def _references(world: NavsimWorld, positions: Array, headings: Array) -> Array:
    relative = np.concatenate([positions, headings[:, None]], axis=1)
    return reference_poses(relative[None], world.ego)[0]
