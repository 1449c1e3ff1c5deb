"""The driving command of a key frame, from where the vehicle went (DistillDrive spec 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.scene.command import Command

HORIZON_KEY_FRAMES = 6
LATERAL_LIMIT_M = 2.0


@dataclass(frozen=True)
class LabelledCommand:
    """A command and how many key frames ahead it was read from: fewer than `HORIZON_KEY_FRAMES` at a scene's end."""

    command: Command
    key_frames_ahead: int


def driving_commands(world_from_lidar: Sequence[NDArray[np.float64]]) -> list[LabelledCommand]:
    """Commands of all key frames of a scene.

    The LiDAR's place 6 key frames (3 s) ahead, in the LiDAR frame of now (x right): x >= 2 m is right, x <= -2 m is
    left, else straight. Near the end of a scene the last key frame stands in, however few steps ahead; the last key
    frame itself, with nothing ahead, is straight.

    Args:
        world_from_lidar: 4x4 per key frame.
    """
    out = []
    for index, pose in enumerate(world_from_lidar):
        ahead = min(HORIZON_KEY_FRAMES, len(world_from_lidar) - 1 - index)
        right = float((inverse(pose) @ world_from_lidar[index + ahead])[0, 3])
        command = Command.STRAIGHT
        if right >= LATERAL_LIMIT_M:
            command = Command.RIGHT
        elif right <= -LATERAL_LIMIT_M:
            command = Command.LEFT
        out.append(LabelledCommand(command, ahead))
    return out
