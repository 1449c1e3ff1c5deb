"""The synchroniser's rules from the parameters of `sensor_sync` and the rig. Knows no ROS."""

from __future__ import annotations

from distilldrive_ros.nodes.rig import Rig
from distilldrive_ros.nodes.tables.sensor_sync import SensorSyncConfiguration
from distilldrive_ros.scene.command import Command
from distilldrive_ros.sync.config import SyncConfig


def sync_config(parameters: SensorSyncConfiguration, rig: Rig) -> SyncConfig:
    """The synchroniser's rules from the node's parameters and the rig.

    Raises:
        ConfigurationError: they contradict each other.
    """
    return SyncConfig(
        anchor=rig.anchor,
        sensors=rig.sensors,
        wait_timeout_ms=parameters.wait_timeout_ms,
        missing_camera=parameters.missing_camera,  # type: ignore[arg-type]  # the table has checked the choice
        hold_limit_ms=parameters.hold_limit_ms,
        lidar_required=parameters.lidar_required,
        # A key frame may lie closer to the set before than the period: taking every anchor, none of them is lost.
        min_period_ms=0.0 if parameters.key_frames_only else parameters.min_period_ms,
        max_future_ms=parameters.max_future_ms,
        backward_jump_ms=parameters.backward_jump_ms,
        max_extrapolation_ms=parameters.max_extrapolation_ms,
        max_gap_s=parameters.max_gap_s,
        default_command=Command[parameters.default_command.upper()],
        command_timeout_s=parameters.command_timeout_s,
        wait_for_command=parameters.wait_for_command,
        base_frame=parameters.base_frame,
        world_frame=parameters.world_frame,
    )
