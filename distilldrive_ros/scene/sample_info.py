"""Stamped facts that travel beside the sensors. Mirrors `msg/SampleInfo.msg` and `msg/DrivingCommand.msg`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.scene.command import Command


@dataclass(frozen=True)
class SampleInfo:
    """Which key frame of a data set an instant is."""

    stamp_ns: int
    frame_id: str
    dataset: str
    scene_name: str
    scene_token: str
    sample_token: str
    sample_index: int
    description: str


@dataclass(frozen=True)
class DrivingCommand:
    """What the route asks for, from `stamp_ns` on."""

    stamp_ns: int
    frame_id: str
    command: Command
