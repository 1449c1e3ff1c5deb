"""What the network sees: the vehicle's motion at the last sets, and the command. Plain numpy; the same in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import SensorFrame

# Sets that are looked at, the present one included, half a second apart.
HISTORY_SETS = 4
PERIOD_S = 0.5
COMMANDS = (Command.RIGHT, Command.LEFT, Command.STRAIGHT)
FEATURE_COUNT = 3 * HISTORY_SETS + len(COMMANDS)


@dataclass(frozen=True)
class EgoHistory:
    """Motion at the last sets, newest first: (speed m/s, acceleration m/s^2, yaw rate rad/s), and the newest stamp."""

    stamp_ns: int
    motions: tuple[tuple[float, float, float], ...]


def advanced(history: EgoHistory | None, frame: SensorFrame) -> EgoHistory:
    """History with a set added."""
    past = () if history is None else history.motions
    before = None if history is None else MotionHistory(history.stamp_ns, history.motions[0][0])
    acceleration = forward_acceleration(frame.ego, before, frame.stamp_ns)
    now = (frame.ego.speed, acceleration, frame.ego.yaw_rate)
    return EgoHistory(frame.stamp_ns, (now, *past)[:HISTORY_SETS])


def features(history: EgoHistory, command: Command) -> NDArray[np.float32]:
    """Input (15,): speed, acceleration, yaw rate of four sets, newest first, then the command as one of three.

    A set that is missing at the start of a drive is taken to be as the oldest known; an unknown command is three zeros.
    """
    missing = HISTORY_SETS - len(history.motions)
    motions = np.array(history.motions + history.motions[-1:] * missing)
    return np.concatenate([motions.ravel(), [float(command == c) for c in COMMANDS]]).astype(np.float32)
