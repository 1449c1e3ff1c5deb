"""Poses between, at and beyond odometry samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.geometry.poses import is_rigid, planar_pose, yaw_of
from distilldrive_ros.sync.ego_buffer import MAX_SAMPLES, Availability, EgoBuffer, EgoSample, Insertion

MS = 1_000_000
T0 = 1_000_000 * MS


def buffer(**rules: float) -> EgoBuffer:
    defaults = {
        "length_s": 5.0,
        "max_gap_s": 1.0,
        "max_extrapolation_s": 0.1,
        "teleport_distance_m": 1.0,
        "teleport_speed_margin": 0.5,
    }
    return EgoBuffer(**{**defaults, **rules})


def sample(ms: float, x: float = 0.0, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0, **more: float) -> EgoSample:
    stamp = T0 + round(ms * MS)
    twist = {"lateral_speed": 0.0, "yaw_rate": 0.0, **more}
    return EgoSample(stamp, planar_pose(x, y, yaw), speed, source_stamp_ns=stamp, **twist)


def test_exact_interpolated_and_extrapolated() -> None:
    poses = buffer()
    poses.add(sample(0, x=0, speed=10, acceleration=1.0))
    poses.add(sample(100, x=1, speed=12, yaw=0.2, acceleration=2.0))
    exact = poses.at(T0 + 100 * MS)
    assert exact is not None and exact.world_from_base[0, 3] == 1 and not exact.extrapolated
    middle = poses.at(T0 + 25 * MS)
    assert middle is not None and not middle.extrapolated
    assert middle.world_from_base[0, 3] == pytest.approx(0.25)
    assert yaw_of(middle.world_from_base) == pytest.approx(0.05)
    assert (middle.speed, middle.acceleration) == (pytest.approx(10.5), pytest.approx(1.25))
    assert math.isnan(middle.steering_angle) and middle.source_stamp_ns == T0 + 100 * MS
    beyond = poses.at(T0 + 150 * MS)
    assert beyond is not None and beyond.extrapolated and beyond.source_stamp_ns == T0 + 100 * MS
    np.testing.assert_allclose(beyond.world_from_base[:2, 3], [1 + 0.6 * math.cos(0.2), 0.6 * math.sin(0.2)])
    before = poses.at(T0 - 50 * MS)
    assert before is not None and before.extrapolated and before.world_from_base[0, 3] == pytest.approx(-0.5)


def test_extrapolation_has_a_limit_on_both_sides() -> None:
    poses = buffer()
    assert poses.at(T0) is None and poses.availability(T0) is Availability.NOT_YET
    poses.add(sample(0))
    assert poses.at(T0 + 100 * MS) is not None and poses.at(T0 + 100 * MS + 1) is None
    assert poses.at(T0 - 100 * MS) is not None and poses.at(T0 - 100 * MS - 1) is None
    assert poses.availability(T0 + 1) is Availability.NOT_YET
    assert poses.availability(T0 - 50 * MS) is Availability.READY
    assert poses.availability(T0 - 101 * MS) is Availability.NEVER


@given(st.floats(-2, 2), st.floats(-20, 20), st.floats(-3, 3), st.floats(-0.1, 0.1))
def test_extrapolation_follows_the_twist(yaw_rate: float, speed: float, lateral: float, dt: float) -> None:
    poses = buffer()
    poses.add(sample(0, x=3, y=-2, yaw=0.7, speed=speed, lateral_speed=lateral, yaw_rate=yaw_rate))
    got = poses.at(T0 + round(dt * 1e9))
    assert got is not None
    # Many small straight steps along the twist, against the closed form.
    pose, steps = planar_pose(3, -2, 0.7), 2000
    half = planar_pose(0, 0, yaw_rate * dt / steps / 2)
    for _ in range(steps):
        pose = pose @ half @ planar_pose(speed * dt / steps, lateral * dt / steps, 0) @ half
    np.testing.assert_allclose(got.world_from_base, pose, atol=1e-6)


def test_wide_gaps_are_not_interpolated() -> None:
    poses = buffer(max_gap_s=0.3)
    poses.add(sample(0, speed=10))
    poses.add(sample(1000, x=10, speed=10))
    assert poses.at(T0 + 500 * MS) is None and poses.availability(T0 + 500 * MS) is Availability.NEVER
    near_first, near_second = poses.at(T0 + 80 * MS), poses.at(T0 + 920 * MS)
    assert near_first is not None and near_first.extrapolated and near_first.world_from_base[0, 3] == pytest.approx(0.8)
    assert near_second is not None and near_second.world_from_base[0, 3] == pytest.approx(9.2)


def test_out_of_order_and_duplicates() -> None:
    poses = buffer()
    assert poses.add(sample(0)) is Insertion.ADDED
    assert poses.add(sample(100, x=0.9)) is Insertion.ADDED
    assert poses.add(sample(50, x=0.8)) is Insertion.OUT_OF_ORDER
    assert poses.add(sample(50, x=0.1)) is Insertion.DUPLICATE
    found = poses.at(T0 + 75 * MS)
    assert found is not None and found.world_from_base[0, 3] == pytest.approx(0.85)
    # A still later sample between the same two counts, although the pose was asked for before.
    poses.add(sample(75.5, x=0.9))
    found = poses.at(T0 + 75 * MS)
    assert found is not None and found.world_from_base[0, 3] == pytest.approx(0.898, abs=1e-3)


def test_poses_asked_for_again_are_the_same() -> None:
    poses = buffer()
    poses.add(sample(0, x=0))
    poses.add(sample(1000, x=1))
    stamps = [T0 + ms * MS for ms in range(1, 200)]
    first = [poses.at(stamp) for stamp in stamps]
    again = [poses.at(stamp) for stamp in stamps]
    for a, b in zip(first, again, strict=True):
        assert a is not None and b is not None
        np.testing.assert_array_equal(a.world_from_base, b.world_from_base)


@pytest.mark.parametrize("twist", [{"speed": math.nan}, {"yaw_rate": math.inf}, {"lateral_speed": -math.inf}])
def test_bad_twists_are_refused(twist: dict[str, float]) -> None:
    poses = buffer()
    assert poses.add(sample(0, **twist)) is Insertion.BAD
    assert len(poses) == 0


@pytest.mark.parametrize("bad", [np.full((4, 4), np.nan), np.eye(4) * 2, np.diag([1.0, 1, -1, 1]), np.eye(3)])
def test_bad_poses_are_refused(bad: np.ndarray) -> None:
    poses = buffer()
    assert poses.add(EgoSample(T0, bad, 0.0, 0.0, 0.0)) is Insertion.BAD
    assert len(poses) == 0


def test_old_samples_go() -> None:
    poses = buffer(length_s=1.0)
    for ms in range(0, 10_000, 20):
        poses.add(sample(ms))
        assert len(poses) <= 51
    assert poses.add(sample(0)) is Insertion.STALE
    assert poses.availability(T0) is Availability.NEVER
    # Right before the oldest kept sample, a guess would be backed by forgotten odometry: refused.
    assert poses.at(T0 + 8970 * MS) is None
    poses.clear()
    assert len(poses) == 0 and poses.newest_ns is None


def test_many_samples_within_the_time_are_bounded() -> None:
    poses = buffer(length_s=600.0)
    for index in range(MAX_SAMPLES + 100):
        poses.add(sample(index))
    assert len(poses) == MAX_SAMPLES


def test_teleport_is_a_break() -> None:
    poses = buffer()
    poses.add(sample(0, x=0, speed=10))
    poses.add(sample(100, x=1, speed=10))
    poses.add(sample(200, x=30, speed=10))
    poses.add(sample(300, x=31, speed=10))
    assert poses.at(T0 + 150 * MS) is None and poses.availability(T0 + 150 * MS) is Availability.NEVER
    assert poses.at(T0 + 50 * MS) is not None and poses.at(T0 + 250 * MS) is not None
    assert poses.jumped_within(T0 + 50 * MS, T0 + 250 * MS) and poses.jumped_within(T0 + 100 * MS, T0 + 200 * MS)
    assert not poses.jumped_within(T0, T0 + 100 * MS) and not poses.jumped_within(T0 + 200 * MS, T0 + 300 * MS)
    assert poses.jumped_since(T0 + 100 * MS, T0 + 200 * MS)
    assert not poses.jumped_since(T0 + 200 * MS, T0 + 300 * MS)


def test_speed_and_noise_are_no_teleport() -> None:
    poses = buffer()
    # 30 m/s at 10 Hz; two poses half a millisecond apart that differ by centimetres; hard braking over a gap of 1 s.
    poses.add(sample(0, x=0, speed=30))
    poses.add(sample(100, x=3, speed=30))
    poses.add(sample(100.5, x=3.05, speed=30))
    poses.add(sample(1100, x=28, speed=20))
    assert not poses.jumped_within(T0, T0 + 1100 * MS)


def test_a_late_sample_can_explain_a_jump() -> None:
    poses = buffer()
    poses.add(sample(0, x=0, speed=0.0))
    poses.add(sample(1000, x=9, speed=5.0))
    assert poses.jumped_within(T0, T0 + 1000 * MS)
    poses.add(sample(500, x=2, speed=15.0))
    assert not poses.jumped_within(T0, T0 + 1000 * MS)


def test_results_are_rigid_and_cannot_be_written() -> None:
    poses = buffer()
    poses.add(sample(0, yaw=3.0, speed=1, yaw_rate=1.0))
    poses.add(sample(100, x=0.1, yaw=-3.0, speed=1, yaw_rate=1.0))
    for ms in (-50, 30, 150):
        found = poses.at(T0 + ms * MS)
        assert found is not None and is_rigid(found.world_from_base, 1e-9)
        with pytest.raises(ValueError):
            found.world_from_base[0, 0] = 2
    middle = poses.at(T0 + 50 * MS)
    assert middle is not None and abs(yaw_of(middle.world_from_base)) == pytest.approx(math.pi)
