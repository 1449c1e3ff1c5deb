"""The vehicle's motion: interpolation, velocities and the way ahead, against a circle whose numbers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.datasets.driving_command import driving_commands
from distilldrive_ros.datasets.ego_track import EgoTrack
from distilldrive_ros.datasets.records import EgoPose
from distilldrive_ros.geometry.poses import planar_pose, yaw_of
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import DatasetError

SECOND = 1_000_000_000
START = 1_600_000_000 * SECOND


def circle_track(stamps_ns, speed=8.0, yaw_rate=0.3, noise=None) -> EgoTrack:
    """A left-hand circle from the origin, heading along x at the start; `noise` (N, 3) is added to the positions."""
    poses = []
    for index, stamp in enumerate(stamps_ns):
        place, yaw = circle_at((stamp - START) / SECOND, speed, yaw_rate)
        place = place + (0 if noise is None else noise[index])
        rotation = np.array([math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)])
        poses.append((int(stamp), EgoPose(str(index), int(stamp), place, rotation)))
    return EgoTrack(poses)


def circle_at(seconds, speed=8.0, yaw_rate=0.3):
    yaw, radius = yaw_rate * seconds, speed / yaw_rate
    return np.array([radius * math.sin(yaw), radius * (1 - math.cos(yaw)), 0.0]), yaw


@settings(max_examples=40, deadline=None)
@given(
    gaps_ms=st.lists(st.integers(1, 90), min_size=25, max_size=60),
    speed=st.floats(0, 20),
    yaw_rate=st.floats(-0.5, 0.5).filter(lambda w: abs(w) > 1e-3),
)
def test_velocity_on_a_circle(gaps_ms, speed, yaw_rate):
    """Uneven stamps, some a millisecond apart: forward speed, no sliding, right yaw rate, also at the ends."""
    stamps = START + np.cumsum(gaps_ms) * 1_000_000
    twists = circle_track(stamps, speed, yaw_rate).twists()
    assert twists.known.all()
    assert twists.linear[:, 0] == pytest.approx(speed, abs=0.01 + 0.003 * speed)
    assert twists.linear[:, 1] == pytest.approx(0, abs=0.02 + 0.02 * speed)
    assert twists.angular[:, 2] == pytest.approx(yaw_rate, abs=2e-3)
    assert twists.angular[:, :2] == pytest.approx(0, abs=1e-9)


def test_rounded_poses_give_a_calm_velocity():
    """Positions rounded to 0.1 mm with stamps 1 ms apart: neighbours' differences would be off by 0.1 m/s."""
    rng = np.random.default_rng(1)
    stamps = START + np.sort(np.concatenate([np.arange(0, 5000, 50), np.arange(1, 5000, 50)])) * 1_000_000
    noise = rng.uniform(-5e-5, 5e-5, (len(stamps), 3))
    twists = circle_track(stamps, noise=noise).twists()
    assert twists.linear[:, 0] == pytest.approx(8.0, abs=0.01)


def test_too_few_poses_give_no_velocity():
    for stamps in ([START], [START, START + 5_000_000]):
        twists = circle_track(stamps).twists()
        assert not twists.known.any() and not twists.linear.any() and not twists.angular.any()
    with pytest.raises(DatasetError):
        EgoTrack([])


def test_velocity_does_not_reach_across_a_gap():
    """Ten seconds without poses: both sides keep their own velocity."""
    early = START + np.arange(0, 1000, 50) * 1_000_000
    stamps = np.concatenate([early, early + 10 * SECOND])
    twists = circle_track(stamps).twists()
    assert twists.linear[:, 0] == pytest.approx(8.0, abs=0.05)


def test_pose_at_recorded_and_other_stamps():
    stamps = START + np.arange(0, 2000, 100) * 1_000_000
    track = circle_track(stamps)
    for stamp in (stamps[0], stamps[7], stamps[-1]):
        place, yaw = circle_at((stamp - START) / SECOND)
        pose = track.pose_at(int(stamp))
        assert pose[:3, 3] == pytest.approx(place, abs=1e-12) and yaw_of(pose) == pytest.approx(yaw, abs=1e-12)
    place, yaw = circle_at(1.234)
    pose = track.pose_at(START + 1_234_000_000)
    assert pose[:3, 3] == pytest.approx(place, abs=3e-3) and yaw_of(pose) == pytest.approx(yaw, abs=1e-9)
    assert track.pose_at(int(stamps[0]) - 2_000_000) is None
    assert track.pose_at(int(stamps[-1]) + 2_000_000) is None


def test_equal_stamps_count_once_and_order_does_not_matter():
    stamps = [START + SECOND, START, START + SECOND]
    track = circle_track(stamps)
    assert track.stamps_ns.tolist() == [START, START + SECOND]


def test_future_is_in_the_frame_of_now_at_exact_steps():
    track = circle_track(START + np.arange(0, 8000, 37) * 1_000_000)
    now = START + 1_500_000_000
    stamps, translations, rotations = track.future(now, 12, 0.5)
    assert (stamps - now).tolist() == [(i + 1) * SECOND // 2 for i in range(12)]
    for index in range(12):
        place, yaw = circle_at(0.5 * (index + 1))
        assert translations[index] == pytest.approx(place, abs=5e-3)
        assert 2 * math.atan2(rotations[index, 3], rotations[index, 0]) == pytest.approx(yaw, abs=1e-3)


def test_future_ends_with_the_scene():
    track = circle_track(START + np.arange(0, 2001, 100) * 1_000_000)
    stamps, translations, _ = track.future(START + SECOND // 2, 12, 0.5)
    assert len(stamps) == len(translations) == 3
    assert len(track.future(START + 2 * SECOND, 12, 0.5)[0]) == 0


@pytest.mark.parametrize(
    ("sideways", "command"), [(2.001, Command.LEFT), (1.99, Command.STRAIGHT), (-2.001, Command.RIGHT)]
)
def test_command_from_the_place_six_key_frames_ahead(sideways, command):
    """The LiDAR frame has x right and y forward: a quarter turn to the right of the vehicle's."""
    lidar = planar_pose(0.9, 0.0, -math.pi / 2)
    poses = [planar_pose(3.0 * k, sideways * min(k, 6) / 6, 0.0) @ lidar for k in range(8)]
    labelled = driving_commands(poses)
    assert labelled[0].command == command
    assert [c.key_frames_ahead for c in labelled] == [6, 6, 5, 4, 3, 2, 1, 0]
    assert labelled[-1].command == Command.STRAIGHT
