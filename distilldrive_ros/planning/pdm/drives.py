"""Simulated drives of a scene and where they lie on its map: what all sub-scores look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.map_areas import EgoAreas, ego_areas
from distilldrive_ros.planning.pdm.proposals import reference_poses
from distilldrive_ros.planning.pdm.simulator import simulate
from distilldrive_ros.planning.pdm.vehicle import PACIFICA, Vehicle
from distilldrive_ros.planning.pdm.world import NavsimWorld

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drives:
    """Simulated states (P, T, 11) with body corners (P, T, 4, 2), centres (P, T, 2) and areas."""

    states: Array
    corners: Array
    centers: Array
    areas: EgoAreas


def locate(states: Array, world: NavsimWorld, vehicle: Vehicle = PACIFICA) -> Drives:
    """Bodies and areas of states (P, T, 11)."""
    poses = states[..., :3]
    corners, centers = vehicle.corners(poses), vehicle.centers(poses)
    return Drives(states, corners, centers, ego_areas(world, corners, centers, poses[..., :2]))


def drive_candidates(
    world: NavsimWorld, candidates: ArrayLike, time_step: float = 0.5, fidelity: Fidelity = COMPATIBLE
) -> Drives:
    """Simulate candidates (P, N, 3): rear-axle poses relative to the ego's present one, pose i at (i + 1) * time_step.

    Raises:
        ScoringError: a candidate has the wrong shape, is not finite or ends before 4 s.
    """
    return locate(simulate(reference_poses(candidates, world.ego, time_step), world.ego, fidelity), world)
