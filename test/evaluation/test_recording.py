"""Two bags joined frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.evaluation.recording import read_recording
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.sensor_frame import Degraded

from .conftest import CAMERA, SPEED, START_NS, STEP_NS, Bags, plan


def test_frames_hold_what_was_recorded_for_their_stamp(make_bags: Callable[..., Bags]) -> None:
    bags = make_bags(frames=3, planned=lambda i: i != 1)
    recording = read_recording(bags.source, bags.plans)
    assert [f.stamp_ns for f in recording.frames] == [START_NS + i * STEP_NS for i in range(3)]
    assert [f.plan is not None for f in recording.frames] == [True, False, True]
    assert recording.custom["scene_name"] == "scene-test"
    first, second, _ = recording.frames
    assert first.plan is not None and first.plan.degraded == Degraded.NO_HISTORY
    assert first.plan.candidates[0].time_step == 0.5
    assert np.allclose(first.plan.candidates[0].positions[:2], [[2.0, 0.5], [4.0, 0.5]])
    assert first.sample_token == "sample0" and first.label == "key frame 0"
    assert first.truth_path is not None and np.allclose(first.truth_path.times, [0.5, 1.0], atol=1e-6)
    assert np.allclose(second.world_from_base[:3, 3], [SPEED * 0.5, 0, 0])


def test_sensors_are_moved_to_the_vehicle(make_bags: Callable[..., Bags]) -> None:
    frame = read_recording(*_paths(make_bags(frames=2))).frames[1]
    assert frame.lidar_points is not None
    assert np.allclose(frame.lidar_points, [[5.9, 1.0, 0.8], [6.9, -2.0, 1.8]], atol=1e-6)  # the NaN is gone
    (camera,) = frame.cameras
    assert camera.name == CAMERA and (camera.width, camera.height) == (160, 90)
    assert camera.stamp_ns == frame.stamp_ns - 20_000_000
    # 20 ms before the key frame the vehicle was 0.08 m behind.
    assert np.isclose(frame.world_from_base[0, 3] - camera.world_from_base[0, 3], 0.08, atol=1e-6)
    assert np.allclose(camera.base_from_camera[:3, 2], [1, 0, 0], atol=1e-9)  # it looks forward


def test_only_shown_frames_carry_pictures(make_bags: Callable[..., Bags]) -> None:
    bags = make_bags(frames=7)
    recording = read_recording(bags.source, bags.plans, max_shown=3)
    assert [bool(f.cameras) for f in recording.frames] == [True, False, False, True, False, False, True]
    assert len(recording.plans) == 7


def test_plans_of_another_drive_are_refused(make_bags: Callable[..., Bags]) -> None:
    bags = make_bags(frames=2)
    other = bags.plans.with_name("other")
    with BagWriter(other) as bag:
        bag.add_topic("/planner/paths", "distilldrive_ros/msg/PathCandidates")
        bag.write("/planner/paths", plan(START_NS + 7, 0.0, "test@abc"), START_NS + 7)
    with pytest.raises(BagError, match="not of the same drive"):
        read_recording(bags.source, other)


def test_missing_bag_is_named(make_bags: Callable[..., Bags]) -> None:
    bags = make_bags(frames=1)
    with pytest.raises(BagError, match=r"there is no bag at .*nowhere"):
        read_recording(bags.source, bags.plans.with_name("nowhere"))


def _paths(bags: Bags) -> tuple:
    return bags.source, bags.plans
