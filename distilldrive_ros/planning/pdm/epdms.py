"""EPDMS, the score of NAVSIM v2 (spec 7.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.collisions import no_at_fault_collision, time_to_collision
from distilldrive_ros.planning.pdm.comfort import comfort_flags_v2
from distilldrive_ros.planning.pdm.drives import Drives
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.rules import (
    driving_direction,
    lane_keeping,
    progress_along,
    traffic_lights,
)
from distilldrive_ros.planning.pdm.world import TRACK_STATES_V2, NavsimWorld, ObjectTracks

Array = NDArray[np.float64]

MIN_PROGRESS_M = 5.0
# Time to collision looks 0.9 s ahead and v2 knows the objects for 4 s.
TTC_STATES = 32
PROGRESS_WEIGHT, TTC_WEIGHT, LANE_WEIGHT, HISTORY_WEIGHT, EXTENDED_WEIGHT = 5.0, 5.0, 2.0, 2.0, 2.0
MULTIPLIERS = ("no_at_fault_collision", "drivable_area", "driving_direction", "traffic_light")
HUMAN_FILTERED = (*MULTIPLIERS, "time_to_collision", "lane_keeping", "history_comfort", "ego_progress")


@dataclass(frozen=True)
class EpdmsScores:
    """Sub-scores (P,) by their official names and the final `score`.

    `extended_comfort` is None where there is no frame before: it and its weight are left out. `comfort_flags` (P, 6) of
    the simulated states alone: see `comfort.FLAG_NAMES`. `raw_progress` in metres.
    """

    no_at_fault_collision: Array
    drivable_area: Array
    driving_direction: Array
    traffic_light: Array
    raw_progress: Array
    ego_progress: Array
    time_to_collision: Array
    lane_keeping: Array
    history_comfort: Array
    extended_comfort: Array | None
    comfort_flags: NDArray[np.bool_]
    score: Array


def score_epdms(
    world: NavsimWorld, drives: Drives, history: Array | None = None, fidelity: Fidelity = COMPATIBLE
) -> EpdmsScores:
    """Score all drives of a scene, without extended comfort: `with_extended_comfort` adds it.

    Args:
        world: the scene, with objects for 4 s or longer.
        drives: the simulated candidates.
        history: states (K, 11) before now, 0.1 s apart, see `history.past_states`; None: history comfort is 1.
        fidelity: as released or as defined.

    Raises:
        ScoringError: the objects are not known for 4 s.
    """
    world.require_steps(TRACK_STATES_V2)
    objects = _first_steps(world.objects, TRACK_STATES_V2)
    areas, centers = drives.areas, drives.centers
    collision = no_at_fault_collision(drives, objects)
    drivable = np.where(areas.non_drivable.any(axis=1), 0.0, 1.0)
    direction = driving_direction(centers, areas.oncoming & ~areas.intersection)
    light = traffic_lights(drives.corners, world.red_lights)
    raw = progress_along(world.centerline, centers)
    best = float((raw * collision * drivable * direction * light).max())
    progress = np.clip(raw / best, 0.0, 1.0) if best > MIN_PROGRESS_M else np.ones(len(raw))
    return _finish(
        EpdmsScores(
            no_at_fault_collision=collision,
            drivable_area=drivable,
            driving_direction=direction,
            traffic_light=light,
            raw_progress=raw,
            ego_progress=progress,
            time_to_collision=time_to_collision(drives, objects, TTC_STATES, fidelity.bearing_at_look_ahead),
            lane_keeping=lane_keeping(world.centerline, centers, areas.intersection, fidelity.lane_keeping_reset),
            history_comfort=_history_comfort(drives.states, history, fidelity),
            extended_comfort=None,
            comfort_flags=comfort_flags_v2(drives.states, fidelity.centripetal_axis),
            score=np.zeros(len(raw)),
        )
    )


def with_extended_comfort(scores: EpdmsScores, agrees: Array | NDArray[np.bool_]) -> EpdmsScores:
    """Scores with extended comfort (P,), see `comfort.extended_comfort`, and its weight."""
    return _finish(replace(scores, extended_comfort=np.asarray(agrees, np.float64)))


def with_human_filter(scores: EpdmsScores, human: EpdmsScores) -> EpdmsScores:
    """Scores where whatever is exactly 0 for the human's drive counts as 1, for original scenes only.

    Product and weighted sum are computed anew, as upstream does since 2025-09-29.

    Args:
        scores: of the candidates.
        human: of the human's trajectory, scored alone without history (one drive).
    """
    excused = {name: np.ones_like(getattr(scores, name)) for name in HUMAN_FILTERED if getattr(human, name)[0] == 0.0}
    return _finish(replace(scores, **excused))


def _finish(scores: EpdmsScores) -> EpdmsScores:
    """Product of the multipliers times the weighted mean of the rest."""
    product = np.prod([getattr(scores, name) for name in MULTIPLIERS], axis=0)
    terms = [
        (PROGRESS_WEIGHT, scores.ego_progress),
        (TTC_WEIGHT, scores.time_to_collision),
        (LANE_WEIGHT, scores.lane_keeping),
        (HISTORY_WEIGHT, scores.history_comfort),
    ]
    if scores.extended_comfort is not None:
        terms.append((EXTENDED_WEIGHT, scores.extended_comfort))
    weighted = sum((weight * value for weight, value in terms), np.zeros_like(product))
    return replace(scores, score=product * weighted / sum(weight for weight, _ in terms))


def _history_comfort(states: Array, history: Array | None, fidelity: Fidelity) -> Array:
    if history is None:
        return np.ones(len(states))
    past = np.broadcast_to(history, (len(states), *history.shape))
    flags = comfort_flags_v2(np.concatenate([past, states], axis=1), fidelity.centripetal_axis)
    return np.where(flags.all(axis=1), 1.0, 0.0)


def _first_steps(objects: ObjectTracks, steps: int) -> ObjectTracks:
    return ObjectTracks(
        objects.tokens,
        objects.kinds,
        objects.sizes,
        objects.poses[:, :steps],
        objects.velocities[:, :steps],
        objects.present[:, :steps],
    )
