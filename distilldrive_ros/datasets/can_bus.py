"""The CAN bus expansion of nuScenes (`can_bus/<scene>_<kind>.json`): what the vehicle itself measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.records import NS_PER_US
from distilldrive_ros.scene.errors import DatasetError

Array = NDArray[np.float64]

FOLDER = "can_bus"
# A message farther from a stamp than this says nothing about it, s.
MAX_DISTANCE_S = 0.5


def has_can_bus(dataroot: Path) -> bool:
    """Whether a root comes with the expansion."""
    return (dataroot / FOLDER).is_dir()


def can_bus_status(dataroot: Path, scene_name: str, stamps_ns: NDArray[np.int64]) -> Array:
    """Ego status (K, 10) at stamps (K,), each of the nearest message (DistillDrive spec 2.2).

    Acceleration (3) m/s^2, gravity included, rotation rate (3) rad/s, velocity (3) m/s, all in the vehicle's frame, and
    the angle of the steering wheel (rad). Zeros where the scene has no messages, or none near enough.

    Raises:
        DatasetError: a file is there and cannot be read.
    """
    pose, steering = _messages(dataroot, scene_name, "pose"), _messages(dataroot, scene_name, "steeranglefeedback")
    status = np.zeros((len(stamps_ns), 10))
    for messages, fields, columns in (
        (pose, ("accel", "rotation_rate", "vel"), slice(0, 9)),
        (steering, ("value",), slice(9, 10)),
    ):
        if messages:
            path = _path(dataroot, scene_name, "pose" if fields[0] == "accel" else "steeranglefeedback")
            times, values = _columns(messages, fields, path)
            nearest = np.abs(times[None, :] - stamps_ns[:, None]).argmin(axis=1)
            near = np.abs(times[nearest] - stamps_ns) <= MAX_DISTANCE_S * 1e9
            status[:, columns] = np.where(near[:, None], values[nearest], 0.0)
    return status


def _path(dataroot: Path, scene_name: str, kind: str) -> Path:
    return dataroot / FOLDER / f"{scene_name}_{kind}.json"


def _messages(dataroot: Path, scene_name: str, kind: str) -> list[dict[str, Any]]:
    path = _path(dataroot, scene_name, kind)
    if not path.is_file():
        return []
    try:
        messages = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"CAN bus file {path} cannot be read: {error}; copy it again") from error
    if not isinstance(messages, list):
        raise DatasetError(f"CAN bus file {path} is no list of messages; copy it again")
    return messages


def _columns(messages: list[dict[str, Any]], fields: tuple[str, ...], path: Path) -> tuple[NDArray[np.int64], Array]:
    """Stamps (M,) ns and values (M, D) of all messages."""
    try:
        times = np.array([int(message["utime"]) * NS_PER_US for message in messages], np.int64)
        values = np.array([[v for f in fields for v in np.atleast_1d(message[f])] for message in messages], np.float64)
        if values.shape != (len(times), 9 if len(fields) == 3 else 1) or not np.isfinite(values).all():
            raise ValueError("values are not finite numbers of equal count")
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"CAN bus file {path}: {type(error).__name__} {error}; copy it again") from error
    return times, values
