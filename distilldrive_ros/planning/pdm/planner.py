"""A planner in the manner of PDM-Closed: the reference proposal for scenes that bring none (spec 7.6).

Privileged: it needs the map, the route and the objects. Fifteen proposals (lateral offsets of the centre line times
target speeds, each driven by the intelligent driver model) and six that brake to a stop are simulated and scored
against forecasts of constant velocity; the best one is the plan. It knows nothing of the objects' true futures.

The braking proposals are ours: NAVSIM's tracker follows speeds, not positions, and overshoots a hard braking of the
driver model by metres; upstream's planner has a separate emergency brake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.planning.pdm.contacts import object_corners
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.idm import Corridor, IdmParameters, corridor, joined
from distilldrive_ros.planning.pdm.pdms import score_pdms
from distilldrive_ros.planning.pdm.rules import traffic_lights
from distilldrive_ros.planning.pdm.simulator import simulate
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import (
    EGO_STATES,
    TIME_STEP_S,
    TRACK_STATES_V1,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
)

Array = NDArray[np.float64]

LATERAL_OFFSETS_M = (0.0, -1.0, 1.0)
TARGET_FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)
FALLBACK_SPEED_LIMIT = 15.0
LEAD_UPDATE_STEPS = 2
# Decelerations of the proposals that stop, m/s^2.
BRAKINGS = (2.0, 4.0)
FORECAST_RADIUS_M = 100.0
# The piece of the centre line that is planned on, from the ego on, m.
PATH_BEHIND_M, PATH_AHEAD_M = 10.0, 120.0
# How many of the nearest objects are looked at; the static kinds share the last entry.
NEAREST: dict[ObjectKind | None, int] = {
    ObjectKind.VEHICLE: 50,
    ObjectKind.PEDESTRIAN: 25,
    ObjectKind.BICYCLE: 10,
    None: 50,
}


@dataclass(frozen=True)
class PdmPlan:
    """The chosen proposal: reference poses (41, 3) and simulated states (41, 11) in the world's frame.

    `score` is its PDMS against the forecasts, 0 where it runs a red light; `scores` (21,) and `all_states`
    (21, 41, 11) are those of all proposals, offset by offset.
    """

    references: Array
    states: Array
    score: float
    scores: Array
    all_states: Array


def plan_pdm_closed(
    world: NavsimWorld, speed_limit: float = FALLBACK_SPEED_LIMIT, fidelity: Fidelity = COMPATIBLE
) -> PdmPlan:
    """Plan for a scene, from its map, its route and the objects as they are now.

    Args:
        world: the scene; of its objects and lights only the first instant is used. A closed connector is stopped at.
        speed_limit: of the route, m/s.
        fidelity: as for the scorers.
    """
    closed = tuple(replace(light, red=np.ones(EGO_STATES, bool)) for light in world.red_lights if light.red[0])
    forecast = replace(world, objects=forecast_objects(world), red_lights=closed)
    references = _proposals(forecast, speed_limit)
    states = simulate(references, world.ego, fidelity)
    drives = locate(states, forecast)
    scores = score_pdms(forecast, drives, fidelity).score * traffic_lights(drives.corners, closed)
    best = int(scores.argmax())
    return PdmPlan(references[best], states[best], float(scores[best]), scores, states)


def forecast_objects(world: NavsimWorld, steps: int = TRACK_STATES_V1) -> ObjectTracks:
    """The nearest objects of now, going on with their present velocity and heading."""
    objects = world.objects
    distance = np.linalg.norm(objects.poses[:, 0, :2] - [world.ego.x, world.ego.y], axis=1)
    here = np.flatnonzero(objects.present[:, 0] & (np.nan_to_num(distance, nan=np.inf) <= FORECAST_RADIUS_M))
    here = here[np.argsort(distance[here], kind="stable")]
    room = dict(NEAREST)
    kept = []
    for index in here.tolist():
        kind = objects.kinds[index] if objects.kinds[index].is_agent else None
        if room[kind]:
            room[kind] -= 1
            kept.append(index)
    poses = np.repeat(objects.poses[kept, :1], steps, axis=1)
    times = np.arange(steps) * TIME_STEP_S
    poses[..., :2] += objects.velocities[kept, :1] * times[:, None]
    return ObjectTracks(
        tuple(objects.tokens[i] for i in kept),
        tuple(objects.kinds[i] for i in kept),
        objects.sizes[kept],
        poses,
        np.repeat(objects.velocities[kept, :1], steps, axis=1),
        np.ones((len(kept), steps), bool),
    )


def _proposals(world: NavsimWorld, speed_limit: float) -> Array:
    """Reference poses (21, 41, 3)."""
    whole = Path(world.centerline)
    start = float(whole.locate([world.ego.x, world.ego.y])[0])
    middle = whole.part(start - PATH_BEHIND_M, start + PATH_AHEAD_M)
    targets = speed_limit * np.array(TARGET_FRACTIONS)
    corners = object_corners(world.objects)
    out = []
    for offset in LATERAL_OFFSETS_M:
        path = middle.shifted(offset)
        positions = _follow(path, world, targets, corners, _closed(path, world))
        out.append(path.poses(positions))
    poses = np.concatenate(out)
    poses[:, 0] = [world.ego.x, world.ego.y, world.ego.heading]
    return poses


def _closed(path: Path, world: NavsimWorld) -> Corridor:
    """Closed connectors, as what stands in the way."""
    rings = [shapely.get_coordinates(light.polygon.exterior) for light in world.red_lights]
    still = np.zeros((1, 2))
    return joined([corridor(path, PACIFICA.width, ring[None], still) for ring in rings])


def _follow(path: Path, world: NavsimWorld, targets: Array, corners: Array, closed: Corridor) -> Array:
    """Distances (targets + brakings, 41) along a path of drivers with these target speeds, and of those who stop."""
    driver = IdmParameters()
    brakings = -np.array(BRAKINGS)
    count = len(targets) + len(brakings)
    start, _ = path.locate([world.ego.x, world.ego.y])
    position = np.full(count, float(start))
    speed = np.full(count, max(0.0, world.ego.vx))
    out = np.empty((count, EGO_STATES))
    out[:, 0] = position
    for step in range(EGO_STATES - 1):
        if step % LEAD_UPDATE_STEPS == 0:
            objects = corridor(path, PACIFICA.width, corners[:, step], world.objects.velocities[:, step])
            ahead = joined([objects, closed])
        driven = slice(len(targets))
        gap, lead_speed = ahead.lead(position[driven], PACIFICA.front_length)
        following = driver.accelerate(speed[driven], targets, gap, lead_speed)
        acceleration = np.concatenate([following, brakings])
        position = position + speed * TIME_STEP_S
        speed = np.maximum(0.0, speed + acceleration * TIME_STEP_S)
        out[:, step + 1] = position
    return out
