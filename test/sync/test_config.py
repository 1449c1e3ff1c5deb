"""Wrong rules are refused with the name, the range and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.config import SensorConfig, SyncConfig

CAMERA, LIDAR = SensorConfig("CAM_A", "camera"), SensorConfig("LIDAR", "lidar")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"wait_timeout_ms": -1.0}, ("wait_timeout_ms", "-1.0", "0 to 10000 ms")),
        ({"wait_timeout_ms": float("nan")}, ("wait_timeout_ms", "nan")),
        ({"queue_length": 1}, ("queue_length", "2 to 1000")),
        ({"queue_length": True}, ("queue_length", "True")),
        ({"missing_camera": "black"}, ("missing_camera", "skip, hold_last, zero_fill")),
        ({"max_gap_s": "1"}, ("max_gap_s", "'1'")),
        ({"anchor": "CAM_Z"}, ("anchor", "CAM_Z", "CAM_A, LIDAR")),
        ({"sensors": ()}, ("anchor", "no sensor is listed")),
        ({"sensors": (CAMERA, CAMERA, LIDAR)}, ("CAM_A", "twice")),
        ({"sensors": (LIDAR, SensorConfig("LIDAR_2", "lidar"))}, ("2 LiDARs", "LIDAR_2")),
        ({"sensors": (CAMERA, SensorConfig("LIDAR", "lidar", offset_ms=5))}, ("offset_ms", "LIDAR", "set it to 0")),
        ({"sensors": (CAMERA,), "anchor": "CAM_A", "lidar_required": True}, ("lidar_required", "no LiDAR")),
        (
            {"missing_camera": "hold_last", "hold_limit_ms": 9000, "ego_buffer_s": 5},
            ("hold_limit_ms", "ego_buffer_s", "lower hold_limit_ms"),
        ),
    ],
)
def test_wrong_rules_are_refused(rules: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as error:
        SyncConfig(**{"anchor": "LIDAR", "sensors": (CAMERA, LIDAR), **rules})
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, ("name",)),
        ({"name": "odometry"}, ("odometry", "rename")),
        ({"kind": "radar"}, ("kind of CAM_A", "camera, lidar")),
        ({"offset_ms": 2000}, ("offset_ms of CAM_A", "-1000 to 1000 ms")),
        ({"tolerance_ms": -1}, ("tolerance_ms of CAM_A", "0 to 1000 ms")),
        ({"settle_ms": float("inf")}, ("settle_ms of CAM_A",)),
    ],
)
def test_wrong_sensors_are_refused(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as error:
        SensorConfig(**{"name": "CAM_A", "kind": "camera", **values})
    assert all(word in str(error.value) for word in words), str(error.value)


def test_rig_is_looked_up_by_name() -> None:
    config = SyncConfig("LIDAR", (CAMERA, LIDAR))
    assert config.cameras == (CAMERA,) and config.lidar is LIDAR and config.sensor("CAM_A") is CAMERA
    with pytest.raises(ConfigurationError, match=r"CAM_Q.*CAM_A, LIDAR"):
        config.sensor("CAM_Q")


def test_settling_is_never_wider_than_the_tolerance() -> None:
    assert SensorConfig("CAM_A", "camera", tolerance_ms=10, settle_ms=25).settle_ns == 10_000_000
