"""Cost of the synchroniser per message: six cameras and a LiDAR (seven topics), and odometry."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from distilldrive_ros.bench.measure import Measurement, Spread
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, IMAGE_HEIGHT, IMAGE_WIDTH, LIDAR_CHANNEL, base_from_lidar
from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.sync.config import SensorConfig, SyncConfig
from distilldrive_ros.sync.synchronizer import SensorSynchronizer

CAMERA_HZ, LIDAR_HZ, ODOMETRY_HZ = 12.0, 20.0, 50.0
SPEED = 8.0
START_NS = 1_700_000_000_000_000_000
TARGET_MS = 0.1

Call = Callable[[], list[Any]]


def measure(quick: bool) -> list[Measurement]:
    """Feed drives of a minute and time every call.

    The target holds for elapsed time; processor time beside it tells how much of that other programs took.
    """
    drives, seconds = (1, 5.0) if quick else (5, 60.0)
    processor, every, sets = [], [], 0
    for _ in range(drives):
        calls = _drive(seconds)
        costs = np.empty(len(calls))
        began = time.thread_time()
        for index, call in enumerate(calls):
            start = time.perf_counter()
            sets += len(call())
            costs[index] = time.perf_counter() - start
        processor.append((time.thread_time() - began) / len(calls) * 1e3)
        every.append(costs * 1e3)
    elapsed = Spread.of(np.concatenate(every))
    note = f"{elapsed.count} messages, {sets} sets"
    return [
        Measurement("mean per message, elapsed", elapsed.mean, "ms", TARGET_MS, note=note),
        Measurement("mean per message, processor time", Spread.of(processor).median, "ms"),
        Measurement("median per message, elapsed", elapsed.median, "ms"),
        Measurement("p99 per message, elapsed", elapsed.p99, "ms", note="the message that completes a set"),
    ]


def _drive(seconds: float) -> list[Call]:
    """The calls of a drive, in time order, bound to a new synchroniser."""
    cameras = tuple(
        SensorConfig(m.channel, "camera", offset_ms=-m.lead_us * 1e-3, tolerance_ms=42, settle_ms=20) for m in CAMERAS
    )
    sync = SensorSynchronizer(SyncConfig(LIDAR_CHANNEL, (*cameras, SensorConfig(LIDAR_CHANNEL, "lidar"))))
    for mount in CAMERAS:
        sync.set_camera_calibration(
            mount.channel, mount.intrinsics(IMAGE_WIDTH), IMAGE_WIDTH, IMAGE_HEIGHT, mount.base_from_camera
        )
    sync.set_lidar_calibration(LIDAR_CHANNEL, base_from_lidar())
    image, points = np.ones(1000, np.uint8), np.zeros((100, 5), np.float32)
    calls: list[tuple[int, Call]] = []
    for stamp in _stamps(seconds, LIDAR_HZ):
        calls.append((stamp, lambda s=stamp: sync.add_lidar(LIDAR_CHANNEL, s, points, s)))  # type: ignore[misc]
    for mount in CAMERAS:
        for stamp in _stamps(seconds, CAMERA_HZ, -mount.lead_us * 1000):
            name = mount.channel
            calls.append((stamp, lambda n=name, s=stamp: sync.add_camera(n, s, "jpeg", 0, 0, image, s)))  # type: ignore[misc]
    for stamp in _stamps(seconds, ODOMETRY_HZ):
        pose = planar_pose(SPEED * (stamp - START_NS) * 1e-9, 0.0, 0.0)
        calls.append((stamp, lambda p=pose, s=stamp: sync.add_odometry(s, p, SPEED, 0.0, 0.0, s)))  # type: ignore[misc]
    return [call for _, call in sorted(calls, key=lambda entry: entry[0])]


def _stamps(seconds: float, rate_hz: float, offset_ns: int = 0) -> list[int]:
    return [START_NS + offset_ns + round(index / rate_hz * 1e9) for index in range(int(seconds * rate_hz))]
