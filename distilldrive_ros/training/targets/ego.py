"""What the vehicle does next and how it moves at a key frame (spec 2.2, 2.5)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.can_bus import can_bus_status, has_can_bus
from distilldrive_ros.datasets.ego_track import EgoTrack
from distilldrive_ros.geometry.poses import inverse, rotation_from_quaternion, transform_points

Array = NDArray[np.float64]

EGO_STEPS = 6
# Steps of the camera+LiDAR models' plans: NAVSIM's 4 s.
DRIVE_STEPS = 8
EGO_STEP_S = 0.5
# Velocities this far before and after a stamp give its acceleration, s.
ACCELERATION_SPAN_S = 0.25
GRAVITY = 9.81
# Of a root without CAN bus: nominal numbers of a compact car, for the angle of the steering wheel.
WHEELBASE_M = 2.6
STEERING_RATIO = 15.0
# Below this speed the turn rate says nothing about the wheels, m/s.
STEERING_MIN_SPEED = 1.0


def ego_future(track: EgoTrack, stamp_ns: int, base_from_network: Array) -> tuple[Array, Array]:
    """The way of the network frame's origin (the LiDAR) over the next 3 s.

    Returns:
        Displacement per step (6, 2) in the network's frame of `stamp_ns`, metres, 0 where not valid, and valid (6,):
        1.0 as long as the drive goes on.
    """
    _, translations, rotations = track.future(stamp_ns, EGO_STEPS, EGO_STEP_S)
    lever = base_from_network[:3, 3]
    in_base = [t + rotation_from_quaternion(q) @ lever for t, q in zip(translations, rotations, strict=True)]
    known = len(in_base)
    places = np.zeros((known + 1, 2))
    if known:
        places[1:] = transform_points(inverse(base_from_network), np.array(in_base))[:, :2]
    offsets, valid = np.zeros((EGO_STEPS, 2)), np.zeros(EGO_STEPS)
    offsets[:known], valid[:known] = np.diff(places, axis=0), 1.0
    return offsets, valid


def ego_drive(track: EgoTrack, stamp_ns: int) -> tuple[Array, Array]:
    """The way of base_link over the next 4 s, the target of the camera+LiDAR models.

    Returns:
        x, y (m) and heading (rad) per step (8, 3) in base_link of `stamp_ns`, 0 where not valid, and valid (8,).
    """
    _, translations, rotations = track.future(stamp_ns, DRIVE_STEPS, EGO_STEP_S)
    w, x, y, z = rotations.T
    drive, valid = np.zeros((DRIVE_STEPS, 3)), np.zeros(DRIVE_STEPS)
    known = len(translations)
    drive[:known, :2], valid[:known] = translations[:, :2], 1.0
    drive[:known, 2] = np.arctan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))
    return drive, valid


def ego_status(dataroot: Path, scene_name: str, track: EgoTrack, stamps_ns: NDArray[np.int64]) -> Array:
    """Status (K, 10) at stamps (K,): acceleration, rotation rate, velocity (xyz each), steering wheel angle.

    From the CAN bus where the root has it (zeros for a scene that it leaves out, as the official pipeline has them),
    else worked out from the poses: accelerations hold gravity as a sensor's would, the angle is that of a nominal car.

    Raises:
        DatasetError: a CAN bus file cannot be read.
    """
    if has_can_bus(dataroot):
        return can_bus_status(dataroot, scene_name, stamps_ns)
    return _status_of_track(track, stamps_ns)


def _status_of_track(track: EgoTrack, stamps_ns: NDArray[np.int64]) -> Array:
    twists = track.twists()
    _, quaternions = track.poses_at(track.stamps_ns)
    turns = np.array([rotation_from_quaternion(q) for q in quaternions])
    world_velocity = np.einsum("nij,nj->ni", turns, twists.linear)
    known = twists.known
    if not known.any():
        return np.zeros((len(stamps_ns), 10))
    seconds = (track.stamps_ns - track.stamps_ns[0]) / 1e9
    at = (stamps_ns - track.stamps_ns[0]) / 1e9

    def sampled(values: Array, when: Array) -> Array:
        return np.stack([np.interp(when, seconds[known], column) for column in values[known].T], axis=-1)

    early = np.maximum(at - ACCELERATION_SPAN_S, seconds[0])
    late = np.minimum(at + ACCELERATION_SPAN_S, seconds[-1])
    span = np.maximum(late - early, 1e-3)[:, None]
    acceleration = (sampled(world_velocity, late) - sampled(world_velocity, early)) / span + [0.0, 0.0, GRAVITY]
    _, own = track.poses_at(stamps_ns)
    to_base = np.array([rotation_from_quaternion(q).T for q in own])
    velocity, rate = sampled(twists.linear, at), sampled(twists.angular, at)
    speed = velocity[:, 0]
    moving = np.abs(speed) >= STEERING_MIN_SPEED
    wheels = np.arctan(WHEELBASE_M * rate[:, 2] / np.where(moving, speed, math.inf))
    return np.concatenate(
        [np.einsum("nij,nj->ni", to_base, acceleration), rate, velocity, STEERING_RATIO * wheels[:, None]], axis=1
    )
