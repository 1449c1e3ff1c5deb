"""Models in the loop, without ROS: the rules drive by odometry alone, a network by rendered sensors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.models.registry import load_model
from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.driving.drive_log import EndReason
from distilldrive_ros.worlds.driving.model_driver import drive, plan_period
from distilldrive_ros.worlds.driving.sensor_set import Sensors, sensor_frame
from distilldrive_ros.worlds.rig import nominal_rig
from distilldrive_ros.worlds.world import Snapshot

RIG = nominal_rig(64)
NAMES = tuple(camera.channel for camera in RIG.cameras)


@dataclass
class Points:
    points: Any


class Painter:
    """Paints the time into the pictures, so that a test can tell when each was taken."""

    def __init__(self) -> None:
        self.closed = False

    def images(self, snapshots: Mapping[str, Snapshot]) -> dict[str, np.ndarray]:
        return {name: np.full((36, 64, 3), s.time_ns // 1_000_000 % 256, np.uint8) for name, s in snapshots.items()}

    def sweep(self, snapshot: Snapshot, rng: np.random.Generator) -> Points:
        return Points(rng.normal(size=(10, 5)).astype(np.float32))

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("name", ["constant_velocity", "ctra"])
def test_a_rule_drives_straight_on_to_the_end_without_a_renderer(small_world: ModuleType, name: str) -> None:
    model = load_model(name)
    logs = [drive(small_world.SmallWorld(), model, Sensors(RIG, None, (), False))[0] for _ in range(2)]
    assert logs[0].end is EndReason.ARRIVED and logs[0].completion > 0.95
    assert not any(logs[0].braked) and not logs[0].refused_plans
    assert (np.array(logs[0].states) == np.array(logs[1].states)).all(), "the same drive every time"


def test_sensors_see_every_camera_at_its_own_time(small_world: ModuleType) -> None:
    world = small_world.SmallWorld()
    before = world.snapshot
    now = world.step(before.ego)
    sensors = Sensors(RIG, Painter(), NAMES, True, seed=3)
    seen = sensors.take(before, now)
    assert [shot.channel for shot in seen.shots] == list(NAMES) and seen.stamp_ns == 100_000_000
    for shot, camera in zip(seen.shots, RIG.cameras, strict=True):
        assert shot.stamp_ns == now.time_ns - camera.lead_ns
        shade = np.asarray(Image.open(io.BytesIO(shot.jpeg)))[0, 0, 0]
        assert abs(int(shade) - shot.stamp_ns // 1_000_000) <= 1
    again = Sensors(RIG, Painter(), NAMES, True, seed=3).take(before, now)
    assert (again.points == seen.points).all() and seen.points.shape == (10, 5)
    assert not (Sensors(RIG, Painter(), (), True, seed=4).take(before, now).points == seen.points).all()


def test_the_set_is_what_the_synchroniser_would_make(small_world: ModuleType) -> None:
    world = small_world.SmallWorld()
    before = world.snapshot
    now = world.step(before.ego)
    seen = Sensors(RIG, Painter(), NAMES[:2], False).take(before, now)
    frame = sensor_frame(seen, RIG, 7, Command.LEFT)
    assert [c.name for c in frame.cameras] == list(NAMES[:2]) and frame.sequence == 7
    assert (frame.command, frame.frame_id, frame.world_frame) == (Command.LEFT, "base_link", "odom")
    assert frame.lidar is not None and frame.lidar.num_points == 0 and frame.ego.speed == now.ego.speed
    assert (frame.world_from_base == now.ego.world_from_base).all()


def test_an_untrained_network_drives_and_what_it_does_is_recorded(small_world: ModuleType) -> None:
    pytest.importorskip("torch")
    model = load_model("student_tiny")
    sensors = Sensors(RIG, Painter(), model.requirements.cameras, model.requirements.lidar)
    world = small_world.SmallWorld(lasts=14)
    log, driver = drive(world, model, sensors)
    assert plan_period(model) == 5 and len(driver.seconds) == 3
    assert log.end is not None and len(log.plans) + log.refused_plans == 3
