"""Commands, key-frame facts and statistics between `scene/` and their messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from distilldrive_ros.messages.factory import MessageFactory
from distilldrive_ros.messages.fields import command_of, stamp_ns
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo

# Fields that message and dataclass have in common, and hold alike.
_SAMPLE_FIELDS = ("dataset", "scene_name", "scene_token", "sample_token", "sample_index", "description")
_STATS_FIELDS = ("model_id", "device", "dropped_frames", "failed_frames", "state_resets", "device_memory_bytes")


def command_to_message(factory: MessageFactory, command: DrivingCommand) -> Any:
    """distilldrive_ros/DrivingCommand."""
    head = factory.header(command.stamp_ns, command.frame_id)
    return factory.make("distilldrive_ros/msg/DrivingCommand", header=head, command=int(command.command))


def command_from_message(message: Any) -> DrivingCommand:
    """Of distilldrive_ros/DrivingCommand.

    Raises:
        SensorDataError: the number is no command.
    """
    return DrivingCommand(stamp_ns(message.header.stamp), message.header.frame_id, command_of(int(message.command)))


def sample_info_to_message(factory: MessageFactory, info: SampleInfo) -> Any:
    """distilldrive_ros/SampleInfo."""
    fields = {name: getattr(info, name) for name in _SAMPLE_FIELDS}
    head = factory.header(info.stamp_ns, info.frame_id)
    return factory.make("distilldrive_ros/msg/SampleInfo", header=head, **fields)


def sample_info_from_message(message: Any) -> SampleInfo:
    """Of distilldrive_ros/SampleInfo."""
    fields = {name: getattr(message, name) for name in _SAMPLE_FIELDS}
    return SampleInfo(stamp_ns=stamp_ns(message.header.stamp), frame_id=message.header.frame_id, **fields)


def inference_stats_to_message(factory: MessageFactory, stats: InferenceStats) -> Any:
    """distilldrive_ros/InferenceStats."""
    return factory.make(
        "distilldrive_ros/msg/InferenceStats",
        header=factory.header(stats.stamp_ns, stats.frame_id),
        stages=list(stats.stages),
        stage_seconds=factory.numbers(stats.stage_seconds, np.float32),
        total_seconds=float(stats.total_seconds),
        sensor_age_seconds=float(stats.sensor_age_seconds),
        **{name: getattr(stats, name) for name in _STATS_FIELDS},
    )


def inference_stats_from_message(message: Any) -> InferenceStats:
    """Of distilldrive_ros/InferenceStats."""
    return InferenceStats(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        stages=tuple(message.stages),
        stage_seconds=tuple(float(s) for s in message.stage_seconds),
        total_seconds=message.total_seconds,
        sensor_age_seconds=message.sensor_age_seconds,
        **{name: getattr(message, name) for name in _STATS_FIELDS},
    )
