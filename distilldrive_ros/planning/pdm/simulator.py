"""Drives proposals: tracker and kinematic bicycle, 40 steps of 0.1 s (spec 7.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.planning.pdm.states import STATE_SIZE, State
from distilldrive_ros.planning.pdm.tracker import Tracker
from distilldrive_ros.planning.pdm.vehicle import PACIFICA, Vehicle
from distilldrive_ros.planning.pdm.world import TIME_STEP_S as DT
from distilldrive_ros.planning.pdm.world import EgoStart

Array = NDArray[np.float64]

# First-order lags of the actuators.
ACCELERATION_LAG_S = 0.2
STEERING_LAG_S = 0.05


def simulate(references: Array, ego: EgoStart, fidelity: Fidelity = COMPATIBLE, vehicle: Vehicle = PACIFICA) -> Array:
    """States (P, 41, 11) of the vehicle that follows reference poses (P, 41, 3); columns: `states.State`."""
    tracker = Tracker(references, vehicle, fidelity.jerk_penalty)
    out = np.empty((*references.shape[:2], STATE_SIZE))
    out[:, 0] = ego.state()
    for step in range(references.shape[1] - 1):
        acceleration, steering_rate = tracker.commands(step, out[:, step])
        out[:, step + 1] = advance(out[:, step], acceleration, steering_rate, vehicle)
    return out


def advance(states: Array, acceleration: Array, steering_rate: Array, vehicle: Vehicle) -> Array:
    """States (P, 11) one step later: Euler with the old speed, heading and steering angle."""
    speed, heading = states[:, State.VX], states[:, State.HEADING]
    delta = states[:, State.STEERING_ANGLE]
    out = np.zeros_like(states)
    out[:, State.AX] = states[:, State.AX] + DT / (DT + ACCELERATION_LAG_S) * (acceleration - states[:, State.AX])
    out[:, State.STEERING_RATE] = DT / (DT + STEERING_LAG_S) * steering_rate
    out[:, State.X] = states[:, State.X] + speed * np.cos(heading) * DT
    out[:, State.Y] = states[:, State.Y] + speed * np.sin(heading) * DT
    out[:, State.HEADING] = wrap(heading + speed * np.tan(delta) / vehicle.wheel_base * DT)
    out[:, State.VX] = speed + out[:, State.AX] * DT
    limit = vehicle.max_steering_angle
    out[:, State.STEERING_ANGLE] = np.clip(delta + out[:, State.STEERING_RATE] * DT, -limit, limit)
    out[:, State.YAW_RATE] = out[:, State.VX] * np.tan(out[:, State.STEERING_ANGLE]) / vehicle.wheel_base
    out[:, State.YAW_ACCELERATION] = (out[:, State.YAW_RATE] - states[:, State.YAW_RATE]) / DT
    return out
