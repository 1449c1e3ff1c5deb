"""Parameters of the node `sensor_sync`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import (
    awaited_subscribers,
    clock_timeout,
    diagnostics_period,
    reliability,
)


@dataclass(frozen=True)
class SensorSyncConfiguration:
    """Which sensors make a set, how long it waits for them, and what happens where one stays away."""

    rig: str = parameter("nuscenes", "sensors: name of a file in config/rigs, or a path to one", read_only=True)
    image_transport: str = parameter(
        "compressed",
        "camera topics: JPEG or PNG on image/compressed, or pixels on image_raw",
        choices=("compressed", "raw"),
        read_only=True,
    )
    sensor_reliability: str = reliability("sensor subscriptions ask for")
    sensor_depth: int = parameter(5, "messages kept per sensor until they are taken", low=1, high=100, read_only=True)
    await_subscribers: tuple[str, ...] = awaited_subscribers()
    base_frame: str = parameter("base_link", "frame of the vehicle: rear axle, on the ground", read_only=True)
    world_frame: str = parameter("odom", "frame in which odometry is continuous", read_only=True)
    rectified: bool = parameter(
        False, "the images are rectified: their intrinsics are P of camera_info, its distortion is ignored"
    )
    missing_camera: str = parameter(
        "skip",
        "set without one of its cameras: give it up, repeat the last image, or fill with black (flagged)",
        choices=("skip", "hold_last", "zero_fill"),
        read_only=True,
    )
    set_cameras: tuple[str, ...] = parameter(
        (),
        "cameras of the rig that a set holds; empty: all (launch files: those that the model looks through)",
        read_only=True,
    )
    hold_limit_ms: float = parameter(
        250.0, "oldest image that hold_last may repeat", unit="ms", low=0.0, high=5000.0, read_only=True
    )
    lidar_required: bool = parameter(False, "give up sets without a LiDAR sweep", read_only=True)
    wait_timeout_ms: float = parameter(
        150.0, "longest wait for the rest of a set", unit="ms", low=0.0, high=10000.0, read_only=True
    )
    min_period_ms: float = parameter(
        0.0, "least time between two sets; 0 takes every anchor", unit="ms", low=0.0, high=60000.0, read_only=True
    )
    key_frames_only: bool = parameter(
        False, "replay of a data set: only sets whose stamp a sample_info message names", read_only=True
    )
    max_future_ms: float = parameter(
        700.0, "a lone stamp farther ahead of all others is refused", unit="ms", low=1.0, high=60000.0, read_only=True
    )
    backward_jump_ms: float = parameter(
        500.0, "stamps falling back farther mean that time jumped", unit="ms", low=1.0, high=60000.0, read_only=True
    )
    max_extrapolation_ms: float = parameter(
        100.0, "how far beyond the odometry a pose may be extrapolated", unit="ms", low=0.0, high=1000.0, read_only=True
    )
    max_gap_s: float = parameter(
        1.0, "a later set than that after the one before starts without history", unit="s", low=0.01, high=60.0,
        read_only=True,
    )  # fmt: skip
    default_command: str = parameter(
        "straight",
        "driving command while nobody sends one",
        choices=("right", "left", "straight"),
        read_only=True,
    )
    command_timeout_s: float = parameter(
        5.0, "a command holds that long", unit="s", low=0.0, high=3600.0, read_only=True
    )
    wait_for_command: bool = parameter(
        False, "replay of bags with a command per key frame: wait for that of the set", read_only=True
    )
    publish_tf: bool = parameter(
        False, "broadcast world_frame to base_frame on /tf from the odometry, where nobody else does", read_only=True
    )
    camera_timeout_s: float = parameter(1.0, "a camera silent for longer is an error", unit="s", low=0.05, high=600.0)
    odometry_timeout_s: float = parameter(0.9, "odometry silent for longer is an error", unit="s", low=0.05, high=600.0)
    clock_timeout_s: float = clock_timeout()
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("sensor_sync", SensorSyncConfiguration)
