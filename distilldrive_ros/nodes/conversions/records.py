"""Commands, key-frame facts and statistics between `scene/` and their messages."""

from __future__ import annotations

import numpy as np

import distilldrive_ros.msg as msg
from distilldrive_ros.nodes.conversions.arrays import command_of, to_array
from distilldrive_ros.nodes.pose_messages import (
    header_message,
    stamp_ns,
)
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo


def command_to_message(command: DrivingCommand) -> msg.DrivingCommand:
    """`DrivingCommand` message."""
    return msg.DrivingCommand(header=header_message(command.stamp_ns, command.frame_id), command=int(command.command))


def command_from_message(message: msg.DrivingCommand) -> DrivingCommand:
    """Command of its message.

    Raises:
        SensorDataError: the number is no command.
    """
    return DrivingCommand(stamp_ns(message.header.stamp), message.header.frame_id, command_of(message.command))


def sample_info_to_message(info: SampleInfo) -> msg.SampleInfo:
    """`SampleInfo` message."""
    return msg.SampleInfo(
        header=header_message(info.stamp_ns, info.frame_id),
        dataset=info.dataset,
        scene_name=info.scene_name,
        scene_token=info.scene_token,
        sample_token=info.sample_token,
        sample_index=info.sample_index,
        description=info.description,
    )


def sample_info_from_message(message: msg.SampleInfo) -> SampleInfo:
    """Key frame of its message."""
    return SampleInfo(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        dataset=message.dataset,
        scene_name=message.scene_name,
        scene_token=message.scene_token,
        sample_token=message.sample_token,
        sample_index=message.sample_index,
        description=message.description,
    )


def inference_stats_to_message(stats: InferenceStats) -> msg.InferenceStats:
    """`InferenceStats` message."""
    return msg.InferenceStats(
        header=header_message(stats.stamp_ns, stats.frame_id),
        model_id=stats.model_id,
        device=stats.device,
        stages=list(stats.stages),
        stage_seconds=to_array(stats.stage_seconds, np.float32),
        total_seconds=float(stats.total_seconds),
        sensor_age_seconds=float(stats.sensor_age_seconds),
        dropped_frames=stats.dropped_frames,
        failed_frames=stats.failed_frames,
        state_resets=stats.state_resets,
        device_memory_bytes=stats.device_memory_bytes,
    )


def inference_stats_from_message(message: msg.InferenceStats) -> InferenceStats:
    """Statistics of their message."""
    return InferenceStats(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        device=message.device,
        stages=tuple(message.stages),
        stage_seconds=tuple(message.stage_seconds),
        total_seconds=message.total_seconds,
        sensor_age_seconds=message.sensor_age_seconds,
        dropped_frames=message.dropped_frames,
        failed_frames=message.failed_frames,
        state_resets=message.state_resets,
        device_memory_bytes=message.device_memory_bytes,
    )
