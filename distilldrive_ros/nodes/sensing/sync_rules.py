"""The synchroniser's rules from the parameters of `sensor_sync`, the rig and the models' needs. Knows no ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from distilldrive_ros.models.registry import MODELS, SensorNeeds
from distilldrive_ros.nodes.parameters.tables.sensor_sync import SensorSyncConfiguration
from distilldrive_ros.nodes.sensing.rig import Rig
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.config import SensorConfig, SyncConfig


def with_needs(parameters: SensorSyncConfiguration, rig: Rig, models: Sequence[str]) -> SensorSyncConfiguration:
    """The parameters with what the models need of a set.

    The LiDAR is required as soon as one of them needs it. Where all of them look, and the parameters name no cameras,
    only the cameras that they look through make a set: a rear camera that fails does not stop a model that looks ahead.

    Raises:
        ConfigurationError: the rig lacks what a model needs.
    """
    needs = {name: MODELS[name].needs for name in models}
    if any(need.lidar for need in needs.values()):
        if all(sensor.kind != "lidar" for sensor in rig.sensors):
            wanting = ", ".join(name for name, need in needs.items() if need.lidar)
            raise ConfigurationError(
                f"model {wanting} needs a LiDAR, rig {rig.name} has none; use another model or rig"
            )
        parameters = replace(parameters, lidar_required=True)
    seen = {camera for name, need in needs.items() for camera in _cameras_of(name, need, rig)}
    if needs and all(need.rigs for need in needs.values()) and not any(parameters.set_cameras):
        names = tuple(sensor.name for sensor in rig.sensors if sensor.name in seen)
        parameters = replace(parameters, set_cameras=names)
    return parameters


def _cameras_of(model: str, needs: SensorNeeds, rig: Rig) -> tuple[str, ...]:
    """Cameras of the rig that the model looks through."""
    there = {sensor.name for sensor in rig.sensors if sensor.kind == "camera"}
    for group in needs.rigs:
        if set(group) <= there:
            return group
    if not needs.rigs:
        return ()
    raise ConfigurationError(
        f"model {model} needs the cameras {' or '.join(', '.join(group) for group in needs.rigs)}; rig {rig.name} has "
        f"{', '.join(sorted(there)) or 'none'}: use another model, or name the rig's cameras so"
    )


def chosen_sensors(parameters: SensorSyncConfiguration, rig: Rig) -> tuple[SensorConfig, ...]:
    """Sensors that make a set: the rig's, of its cameras only those that are named, the anchor always.

    Raises:
        ConfigurationError: a named camera is none of the rig.
    """
    wanted = {name for name in parameters.set_cameras if name}
    cameras = {sensor.name for sensor in rig.sensors if sensor.kind == "camera"}
    if wanted - cameras:
        raise ConfigurationError(
            f"set_cameras names {', '.join(sorted(wanted - cameras))}; rig {rig.name} has "
            f"{', '.join(sorted(cameras)) or 'none'}"
        )
    left_out = cameras - wanted - {rig.anchor} if wanted else set()
    return tuple(sensor for sensor in rig.sensors if sensor.name not in left_out)


def sync_config(parameters: SensorSyncConfiguration, rig: Rig) -> SyncConfig:
    """The synchroniser's rules from the node's parameters and the rig.

    Raises:
        ConfigurationError: they contradict each other.
    """
    return SyncConfig(
        anchor=rig.anchor,
        sensors=chosen_sensors(parameters, rig),
        own_body=rig.own_body,
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
