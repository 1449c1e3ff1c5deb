"""Pseudo closed loop: a planner drives NAVSIM's vehicle through a recorded scene; PDMS and EPDMS of what it drove.

The ego plans anew every 0.5 s and is driven along the plan by the simulator of the scorers. Sensors are not simulated:
planners see the ego's state, and privileged ones the map and the objects of the moment. Every window of 4 s that was
driven, one per 0.5 s, is scored among the objects as they moved in this run; progress is relative to the reference
planner's proposal from the window's start.

Plans of networks, which need sensors, are scored one by one instead, as NAVSIM does: from the recorded state of their
key frame, 4 s without feedback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.navsim.planners import Planner, candidate_references, drivable
from distilldrive_ros.evaluation.navsim.traffic import Traffic
from distilldrive_ros.planning.pdm.comfort import extended_comfort
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.epdms import EpdmsScores, score_epdms, with_extended_comfort, with_human_filter
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.history import past_states
from distilldrive_ros.planning.pdm.pdms import PdmsScores, score_pdms
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.simulator import simulate
from distilldrive_ros.planning.pdm.world import EGO_STATES, TIME_STEP_S, ObjectTracks
from distilldrive_ros.scene.candidates import PlanCandidates

Array = NDArray[np.float64]

PLAN_STEPS = 5
# NAVSIM gives three states of the past, half a second apart.
HISTORY_STEPS = (15, 10, 5)
# A plan belongs to the instant of the grid nearest to its stamp, if that is no farther than this.
STAMP_TOLERANCE_NS = 60_000_000


@dataclass(frozen=True)
class Rollout:
    """A drive of T instants.

    `states` (T, 11) of the ego, the objects as they moved, and by the instant of planning the states (41, 11) that each
    plan would have led to; the recorded driver has none.
    """

    states: Array
    objects: ObjectTracks
    plans: Mapping[int, Array]


@dataclass(frozen=True)
class Window:
    """4 s that were scored, from instant `start` on: `driven` (41, 11) among `objects`; number 1 of the scores is it.

    Number 0 is the reference planner's proposal.
    """

    start: int
    driven: Array
    objects: ObjectTracks
    pdms: PdmsScores
    epdms: EpdmsScores


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
    plans = {}
    for start in range(0, worlds.steps - 1, PLAN_STEPS):
        world = worlds.world(start, states[start], traffic.tracks)
        planned = simulate(planner.plan(world, start, worlds.command(start))[None], world.ego, fidelity)[0]
        plans[start] = planned
        for offset in range(min(PLAN_STEPS, worlds.steps - 1 - start)):
            states[start + offset + 1] = planned[offset + 1]
            traffic.advance(start + offset, states[start + offset])
    return Rollout(states, traffic.tracks, plans)


def recorded_drive(worlds: SceneWorlds) -> Rollout:
    """What the recorded driver did, for comparison."""
    return Rollout(worlds.ego, worlds.objects, {})


@dataclass
class WindowScorer:
    """Scores the windows of one scene, whoever drove."""

    worlds: SceneWorlds
    fidelity: Fidelity = COMPATIBLE
    _humans: dict[int, EpdmsScores] = field(default_factory=dict)

    def of_rollout(self, rollout: Rollout) -> list[Window]:
        """All windows of a drive; a scene of less than 5 s has none."""
        return [
            self._score(
                start,
                rollout.states[start : start + EGO_STATES],
                rollout.states,
                rollout.objects,
                _agrees(rollout.plans, start),
            )
            for start in self.worlds.window_starts
        ]

    def of_plans(self, plans: Mapping[int, PlanCandidates]) -> tuple[list[Window], int]:
        """Windows of recorded plans, by stamp, each driven from the recorded state; how many have no plan to drive."""
        worlds = self.worlds
        driven: dict[int, Array] = {}
        stamps = np.array(sorted(plans), np.int64)
        for start in worlds.window_starts if len(stamps) else ():
            wanted = int(worlds.stamps_ns[start])
            nearest = int(stamps[np.abs(stamps - wanted).argmin()])
            best = plans[nearest].best if abs(nearest - wanted) <= STAMP_TOLERANCE_NS else None
            if best is not None and drivable(best):
                world = worlds.world(start)
                driven[start] = simulate(candidate_references(best, world)[None], world.ego, self.fidelity)[0]
        windows = [
            self._score(start, states, worlds.ego, worlds.objects, _agrees(driven, start))
            for start, states in driven.items()
        ]
        return windows, len(worlds.window_starts) - len(windows)

    def _score(self, start: int, driven: Array, past: Array, objects: ObjectTracks, agrees: bool | None) -> Window:
        world = self.worlds.world(start, past[start], objects)
        reference = plan_pdm_closed(world, fidelity=self.fidelity).states
        drives = locate(np.stack([reference, driven]), world)
        epdms = score_epdms(world, drives, history_before(past, start, self.fidelity), self.fidelity)
        if agrees is not None:
            epdms = with_extended_comfort(epdms, np.array([1.0, float(agrees)]))
        pdms = score_pdms(world, drives, self.fidelity)
        return Window(start, driven, world.objects, pdms, with_human_filter(epdms, self._human(start)))

    def _human(self, start: int) -> EpdmsScores:
        """Of the recorded driver, alone and without history."""
        if start not in self._humans:
            world = self.worlds.world(start)
            states = self.worlds.ego[None, start : start + EGO_STATES]
            self._humans[start] = score_epdms(world, locate(states, world), None, self.fidelity)
        return self._humans[start]


def history_before(states: Array, start: int, fidelity: Fidelity = COMPATIBLE) -> Array | None:
    """Of the states (T, 11) of a drive, those before an instant as NAVSIM gives them; None at its beginning."""
    known = [start - back for back in HISTORY_STEPS if back <= start]
    if not known:
        return None
    times = [(number - start) * TIME_STEP_S for number in known]
    return past_states(states[[*known, start]], [*times, 0.0], fidelity.uniform_history)


def _agrees(plans: Mapping[int, Array], start: int) -> bool | None:
    """Extended comfort of the plan at an instant and the one before; None where either is missing."""
    now, before = plans.get(start), plans.get(start - PLAN_STEPS)
    return None if now is None or before is None else bool(extended_comfort(now[None], before[None], PLAN_STEPS)[0])
