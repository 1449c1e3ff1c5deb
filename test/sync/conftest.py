"""A small rig whose messages tell their own stamps, and a player that feeds them to a synchroniser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.sync.config import SensorConfig, SyncConfig
from distilldrive_ros.sync.synchronizer import SensorSynchronizer

MS = 1_000_000
SPEED = 5.0
WIDTH, HEIGHT = 16, 9


class Player:
    """Feeds a synchroniser; times in ms, stamps offset by 1000 s. The vehicle drives along +x at 5 m/s."""

    START_MS = 1_000_000

    def __init__(self, config: SyncConfig, calibrate: bool = True) -> None:
        self.config = config
        self.sync = SensorSynchronizer(config)
        self.sets: list[SensorFrame] = []
        if calibrate:
            self.calibrate()

    def calibrate(self) -> None:
        for camera in self.config.cameras:
            self.sync.set_camera_calibration(camera.name, np.diag([10.0, 10.0, 1.0]), WIDTH, HEIGHT, np.eye(4))
        if self.config.lidar:
            self.sync.set_lidar_calibration(self.config.lidar.name, np.eye(4))

    @classmethod
    def stamp(cls, ms: float) -> int:
        return round((cls.START_MS + ms) * MS)

    @classmethod
    def ms(cls, stamp_ns: int) -> float:
        return stamp_ns / MS - cls.START_MS

    def send(self, stream: str, ms: float, at: float | None = None, **extra: Any) -> list[SensorFrame]:
        """One message stamped `ms`, arriving at `at` (default: at its stamp)."""
        stamp, now = self.stamp(ms), self.stamp(ms if at is None else at)
        kind = next((s.kind for s in self.config.sensors if s.name == stream), stream)
        content = np.frombuffer(str(stamp).encode(), np.uint8)
        if kind == "camera":
            sets = self.sync.add_camera(stream, stamp, "jpeg", 0, 0, extra.get("data", content), now)
        elif kind == "lidar":
            points = np.zeros((1, 5), np.float32) + np.float32(ms)
            sets = self.sync.add_lidar(stream, stamp, extra.get("points", points), now)
        elif kind == "odometry":
            pose = planar_pose(extra.get("x", SPEED * ms * 1e-3), 0.0, 0.0)
            sets = self.sync.add_odometry(stamp, pose, extra.get("speed", SPEED), 0.0, 0.0, now)
        else:
            sets = self.sync.add_command(stamp, extra.get("command", Command.LEFT), now)
        self.sets += sets
        return sets

    def send_all(self, messages: Iterable[tuple[str, float]]) -> list[SensorFrame]:
        return [one for stream, ms in messages for one in self.send(stream, ms)]

    def poll(self, at: float) -> list[SensorFrame]:
        sets = self.sync.poll(self.stamp(at))
        self.sets += sets
        return sets

    def close(self, at: float) -> list[SensorFrame]:
        sets = self.sync.close(self.stamp(at))
        self.sets += sets
        return sets

    def describe(self, frame: SensorFrame) -> tuple[Any, ...]:
        """A set in ms: anchor, cameras, LiDAR, flags, command. Checks that content and poses fit the stamps."""
        cameras = {}
        for camera in frame.cameras:
            cameras[camera.name] = (self.ms(camera.stamp_ns), camera.status.name)
            if camera.status.name != "ZERO_FILLED":
                assert camera.data.tobytes() == str(camera.stamp_ns).encode()
        for part in (frame, *frame.cameras, *([frame.lidar] if frame.lidar else [])):
            assert part.world_from_base[0, 3] == pytest.approx(SPEED * self.ms(part.stamp_ns) * 1e-3, abs=1e-6)
        lidar = self.ms(frame.lidar.stamp_ns) if frame.lidar else None
        return self.ms(frame.stamp_ns), cameras, lidar, frame.degraded, frame.command


class Rig:
    """Configurations for tests: two cameras and a LiDAR, which is the anchor."""

    Player = Player

    @staticmethod
    def config(
        tolerance_ms: float = 50.0, settle_ms: float = 25.0, offsets: tuple[float, float] = (0, 0), **rules: Any
    ) -> SyncConfig:
        sensors = (
            SensorConfig("CAM_A", "camera", offsets[0], tolerance_ms, settle_ms),
            SensorConfig("CAM_B", "camera", offsets[1], tolerance_ms, settle_ms),
            SensorConfig("LIDAR", "lidar", 0.0, tolerance_ms, settle_ms),
        )
        return SyncConfig(rules.pop("anchor", "LIDAR"), rules.pop("sensors", sensors), **rules)

    @classmethod
    def player(cls, **rules: Any) -> Player:
        return Player(cls.config(**rules))


@pytest.fixture(scope="session")
def rig() -> type[Rig]:
    return Rig
