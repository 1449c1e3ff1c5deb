"""Layout of simulated states (spec 7.1)."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Column of a state: rear-axle pose, velocities and accelerations in the body frame, steering, yaw motion."""

    X = 0
    Y = 1
    HEADING = 2
    VX = 3
    VY = 4
    AX = 5
    AY = 6
    STEERING_ANGLE = 7
    STEERING_RATE = 8
    YAW_RATE = 9
    YAW_ACCELERATION = 10


STATE_SIZE = len(State)
