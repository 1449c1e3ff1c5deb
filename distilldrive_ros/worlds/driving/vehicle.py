"""The vehicle in closed loop: NAVSIM's kinematic bicycle, stopped by what tyres and actuators can do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.simulator import advance
from distilldrive_ros.planning.pdm.states import STATE_SIZE, State
from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.worlds.world import EgoState

Array = NDArray[np.float64]

# What tyres and actuators allow, m/s^2 and rad/s: whatever a plan asks for.
MAX_BRAKING, MAX_ACCELERATION = 8.0, 4.0
MAX_STEERING_RATE = 1.0


def state_of(ego: EgoState) -> Array:
    """State (11,) of the simulator, see `planning.pdm.states.State`."""
    out = np.zeros(STATE_SIZE)
    out[State.X], out[State.Y], out[State.HEADING] = *ego.position, ego.yaw
    out[State.VX], out[State.AX] = ego.speed, ego.acceleration
    out[State.STEERING_ANGLE], out[State.YAW_RATE] = ego.steering, ego.yaw_rate
    return out


def ego_of(state: Array) -> EgoState:
    """What the world knows of a state (11,)."""
    return EgoState(
        position=state[[State.X, State.Y]].copy(),
        yaw=float(state[State.HEADING]),
        speed=float(state[State.VX]),
        acceleration=float(state[State.AX]),
        yaw_rate=float(state[State.YAW_RATE]),
        steering=float(state[State.STEERING_ANGLE]),
    )


def driven(state: Array, acceleration: float, steering_rate: float, vehicle: Vehicle) -> Array:
    """State (11,) one step of 0.1 s after another, under commands within the vehicle's limits; it never reverses."""
    a = np.clip(acceleration, -MAX_BRAKING, MAX_ACCELERATION)
    rate = np.clip(steering_rate, -MAX_STEERING_RATE, MAX_STEERING_RATE)
    out = advance(state[None], np.array([a]), np.array([rate]), vehicle)[0]
    if out[State.VX] < 0.0:
        # It has come to a stop within the step.
        out[[State.VX, State.AX, State.YAW_RATE, State.YAW_ACCELERATION]] = 0.0
    return out
