"""PDMS, the score of NAVSIM v1 (spec 7.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.collisions import no_at_fault_collision, time_to_collision
from distilldrive_ros.planning.pdm.comfort import comfort_flags_v1
from distilldrive_ros.planning.pdm.drives import Drives
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.rules import driving_direction, progress_along
from distilldrive_ros.planning.pdm.world import EGO_STATES, TRACK_STATES_V1, NavsimWorld

Array = NDArray[np.float64]

PROGRESS_WEIGHT, TTC_WEIGHT, COMFORT_WEIGHT = 5.0, 5.0, 2.0
# Below this best progress (m) there is nothing to be compared with: everyone progresses fully.
MIN_PROGRESS_M = 5.0
PAIR_EPSILON = 1e-6


@dataclass(frozen=True)
class PdmsScores:
    """Sub-scores (P,) by their official names, the final `score` and what it is made of.

    `comfort_flags` (P, 6): see `comfort.FLAG_NAMES`. `raw_progress` in metres. `driving_direction` is reported by
    NAVSIM v1 with weight 0.
    """

    no_at_fault_collision: Array
    drivable_area: Array
    driving_direction: Array
    raw_progress: Array
    ego_progress: Array
    time_to_collision: Array
    comfort: Array
    comfort_flags: NDArray[np.bool_]
    score: Array


def score_pdms(
    world: NavsimWorld, drives: Drives, fidelity: Fidelity = COMPATIBLE, reference: int | None = None
) -> PdmsScores:
    """Score all drives of a scene.

    Args:
        world: the scene, with objects for 5 s.
        drives: the simulated candidates.
        fidelity: as released or as defined.
        reference: None: progress relative to the best of all drives (the official way, with two of them: the reference
            proposal and the candidate); else the number of the reference drive, with which each is compared alone.

    Raises:
        ScoringError: the objects are not known for 5 s.
    """
    world.require_steps(TRACK_STATES_V1)
    collision = no_at_fault_collision(drives, world.objects)
    drivable = np.where(drives.areas.non_drivable.any(axis=1), 0.0, 1.0)
    ttc = time_to_collision(drives, world.objects, EGO_STATES, fidelity.bearing_at_look_ahead)
    flags = comfort_flags_v1(drives.states, fidelity.short_comfort_windows)
    raw = progress_along(world.centerline, drives.centers)
    product = collision * drivable
    progress = _ego_progress(raw * product, product, reference)
    comfort = np.where(flags.all(axis=1), 1.0, 0.0)
    weighted = PROGRESS_WEIGHT * progress + TTC_WEIGHT * ttc + COMFORT_WEIGHT * comfort
    return PdmsScores(
        no_at_fault_collision=collision,
        drivable_area=drivable,
        driving_direction=driving_direction(drives.centers, drives.areas.oncoming),
        raw_progress=raw,
        ego_progress=progress,
        time_to_collision=ttc,
        comfort=comfort,
        comfort_flags=flags,
        score=product * weighted / (PROGRESS_WEIGHT + TTC_WEIGHT + COMFORT_WEIGHT),
    )


def _ego_progress(masked: Array, product: Array, reference: int | None) -> Array:
    """Progress (P,) relative to the best, of progress (P,) that is already multiplied by the product (P,)."""
    slow = np.where(product == 0.0, 0.0, 1.0)
    if reference is None:
        best = float(masked.max())
        return masked / best if best > MIN_PROGRESS_M else slow
    best_of_pair = np.maximum(masked, masked[reference])
    return np.where(best_of_pair > MIN_PROGRESS_M, masked / (best_of_pair + PAIR_EPSILON), slow)
