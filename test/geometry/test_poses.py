"""Transforms against their own definitions and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation, Slerp

from distilldrive_ros.geometry import interpolation, poses

unit_interval = st.floats(-1, 1, allow_nan=False)
quaternions = arrays(np.float64, 4, elements=unit_interval).filter(lambda q: np.linalg.norm(q) > 1e-3)
translations = arrays(np.float64, 3, elements=st.floats(-1e4, 1e4))


def scipy_rotation(wxyz: np.ndarray) -> Rotation:
    return Rotation.from_quat(np.roll(wxyz, -1))


@given(quaternions)
def test_rotation_from_quaternion_equals_scipy(q: np.ndarray) -> None:
    np.testing.assert_allclose(poses.rotation_from_quaternion(q), scipy_rotation(q).as_matrix(), atol=1e-12)


@given(quaternions)
def test_quaternion_survives_the_way_through_the_matrix(q: np.ndarray) -> None:
    back = poses.quaternion_from_rotation(poses.rotation_from_quaternion(q))
    assert back[0] >= 0
    assert abs(abs(back @ q) / np.linalg.norm(q) - 1) < 1e-9


@pytest.mark.parametrize("q", [[0, 0, 0, 0], [1, 0, 0], [math.nan, 0, 0, 1], [math.inf, 0, 0, 1]])
def test_no_rotation_is_refused(q: list[float]) -> None:
    with pytest.raises(ValueError, match="not a rotation"):
        poses.rotation_from_quaternion(q)


@given(translations, quaternions)
def test_inverse(t: np.ndarray, q: np.ndarray) -> None:
    pose = poses.pose_matrix(t, q)
    np.testing.assert_allclose(poses.inverse(pose) @ pose, np.eye(4), atol=1e-9)
    assert poses.is_rigid(pose)


@pytest.mark.parametrize(
    "broken",
    [np.full((4, 4), np.nan), np.diag([1.0, 1, -1, 1]), np.diag([2.0, 2, 2, 1]), np.eye(3), np.zeros((4, 4))],
)
def test_what_is_not_rigid(broken: np.ndarray) -> None:
    assert not poses.is_rigid(broken)


@given(translations, quaternions, arrays(np.float64, (5, 3), elements=st.floats(-100, 100)))
def test_points_and_vectors(t: np.ndarray, q: np.ndarray, points: np.ndarray) -> None:
    pose = poses.pose_matrix(t, q)
    expected = scipy_rotation(q).apply(points)
    np.testing.assert_allclose(poses.transform_points(pose, points), expected + t, atol=1e-6)
    np.testing.assert_allclose(poses.rotate_vectors(pose, points), expected, atol=1e-8)


def test_two_dimensional_points_stay_in_the_plane() -> None:
    pose = poses.planar_pose(1.0, 2.0, math.pi / 2)
    np.testing.assert_allclose(poses.transform_points(pose, [[1.0, 0.0]]), [[1.0, 3.0]], atol=1e-12)
    assert poses.yaw_of(pose) == pytest.approx(math.pi / 2)


@given(quaternions, quaternions, st.floats(0, 1))
def test_interpolation_equals_scipy_slerp(q0: np.ndarray, q1: np.ndarray, fraction: float) -> None:
    first, second = poses.pose_matrix([0, 0, 0], q0), poses.pose_matrix([2, 4, 6], q1)
    got = interpolation.interpolate_pose(first, second, fraction)
    angle = (scipy_rotation(q0).inv() * scipy_rotation(q1)).magnitude()
    if angle < math.pi - 1e-3:  # half a turn has two shortest ways
        slerp = Slerp([0, 1], Rotation.concatenate([scipy_rotation(q0), scipy_rotation(q1)]))
        np.testing.assert_allclose(got[:3, :3], slerp(fraction).as_matrix(), atol=1e-6)
    np.testing.assert_allclose(got[:3, 3], np.array([2, 4, 6]) * fraction, atol=1e-9)
    assert poses.is_rigid(got)
