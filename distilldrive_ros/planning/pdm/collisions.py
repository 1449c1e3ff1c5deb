"""No at-fault collision and time to collision (spec 7.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.contacts import (
    Contacts,
    find_contacts,
    object_corners,
    segment_touches_box,
)
from distilldrive_ros.planning.pdm.drives import Drives
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.world import TIME_STEP_S, ObjectTracks

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STOPPED_SPEED = 0.05
TTC_STOPPED_SPEED = 0.005
AHEAD_ANGLE = np.deg2rad(30.0)
BEHIND_ANGLE = np.deg2rad(150.0)
LOOK_AHEAD_STEPS = (0, 3, 6, 9)


def no_at_fault_collision(drives: Drives, objects: ObjectTracks) -> Array:
    """Score (P,): 0 after a collision at fault with an agent, 0.5 with anything else, 1 without.

    The first collision with an object that is not the ego's fault excuses all later ones with it.
    """
    steps = np.arange(drives.states.shape[1])
    contacts = find_contacts(drives.corners, steps, steps, objects)
    at_fault = _at_fault(drives, objects, contacts)
    counted = at_fault & ~_excused(contacts, contacts.state, ~at_fault, drives, objects)
    agent = np.array([kind.is_agent for kind in objects.kinds], bool)
    cost = np.where(agent[contacts.object], 0.0, 0.5)[counted]
    out = np.ones(len(drives.states))
    np.minimum.at(out, contacts.proposal[counted], cost)
    return out


def time_to_collision(drives: Drives, objects: ObjectTracks, states: int, bearing_at_look_ahead: bool = False) -> Array:
    """Score (P,): 0 where the ego, going straight on for up to 0.9 s, meets an object that is ahead.

    Args:
        drives: the proposals.
        objects: the objects.
        states: how many states are looked at, from the first.
        bearing_at_look_ahead: see `fidelity.Fidelity`.
    """
    heading, speed = drives.states[:, :states, State.HEADING], drives.states[:, :states, State.VX]
    travel = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (speed * TIME_STEP_S)[..., None]
    bodies = np.concatenate(
        [drives.corners[:, :states] + (travel * ahead)[:, :, None] for ahead in LOOK_AHEAD_STEPS], axis=1
    )
    index = np.arange(states)
    instants = np.concatenate([index + ahead for ahead in LOOK_AHEAD_STEPS])
    contacts = find_contacts(bodies, np.tile(index, len(LOOK_AHEAD_STEPS)), instants, objects)
    moving = np.abs(speed[contacts.proposal, contacts.state]) >= TTC_STOPPED_SPEED
    contacts = Contacts(*(c[moving] for c in (contacts.proposal, contacts.state, contacts.object, contacts.instant)))
    p, t = contacts.proposal, contacts.state
    eye = drives.states[p, t, :2]
    if bearing_at_look_ahead:
        eye = eye + travel[p, t] * (contacts.instant - t)[:, None]
    angle = _bearing(eye, heading[p, t], objects.poses[contacts.object, contacts.instant, :2])
    areas = drives.areas
    exposed = areas.multiple_lanes[p, t] | areas.non_drivable[p, t] | areas.axle_in_intersection[p, t]
    dangerous = (angle < AHEAD_ANGLE) | (exposed & (angle <= BEHIND_ANGLE))
    # Looked at in order of state, then look-ahead.
    order = t * (max(LOOK_AHEAD_STEPS) + 1) + contacts.instant - t
    counted = dangerous & ~_excused(contacts, order, ~dangerous, drives, objects)
    out = np.ones(len(drives.states))
    out[p[counted]] = 0.0
    return out


def _excused(
    contacts: Contacts, order: NDArray[np.int64], harmless: Mask, drives: Drives, objects: ObjectTracks
) -> Mask:
    """Which contacts come after a harmless one of the same proposal with the same object."""
    first = np.full((len(drives.states), len(objects.tokens)), np.iinfo(np.int64).max)
    np.minimum.at(first, (contacts.proposal[harmless], contacts.object[harmless]), order[harmless])
    return np.asarray(first[contacts.proposal, contacts.object] < order)


def _at_fault(drives: Drives, objects: ObjectTracks, contacts: Contacts) -> Mask:
    p, t, o = contacts.proposal, contacts.state, contacts.object
    ego = drives.states[p, t]
    ego_stopped = np.abs(ego[:, State.VX]) <= STOPPED_SPEED
    agent = np.array([kind.is_agent for kind in objects.kinds], bool)
    speed = np.linalg.norm(objects.velocities[o, contacts.instant], axis=-1)
    track_stopped = ~agent[o] | (speed <= STOPPED_SPEED)
    place = objects.poses[o, contacts.instant, :2]
    behind = _bearing(ego[:, :2], ego[:, State.HEADING], place) > BEHIND_ANGLE
    boxes = object_corners(objects)[o, contacts.instant]
    front = segment_touches_box(drives.corners[p, t, 0], drives.corners[p, t, 3], boxes)
    astray = drives.areas.multiple_lanes[p, t] | drives.areas.non_drivable[p, t]
    return np.asarray(~ego_stopped & (track_stopped | (~behind & (front | astray))))


def _bearing(eye: Array, heading: Array, place: Array) -> Array:
    """Angle (K,) in [0, pi] between a heading (K,) and the direction from eye (K, 2) to place (K, 2)."""
    offset = place - eye
    forward = np.cos(heading) * offset[:, 0] + np.sin(heading) * offset[:, 1]
    sideways = np.cos(heading) * offset[:, 1] - np.sin(heading) * offset[:, 0]
    return np.abs(np.arctan2(sideways, forward))
