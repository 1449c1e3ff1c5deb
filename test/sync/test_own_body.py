"""Returns of the vehicle itself are left out, whatever the LiDAR's mounting."""

from __future__ import annotations

import numpy as np
import pytest

from distilldrive_ros.geometry.poses import inverse, planar_pose, transform_points
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.own_body import OwnBody

BODY = OwnBody(-1.0, 4.0, -1.0, 1.0, 0.0, 2.0)


def sweep(base_points: list[tuple[float, float, float]], base_from_lidar: np.ndarray) -> np.ndarray:
    points = np.zeros((len(base_points), 5), np.float32)
    points[:, :3] = transform_points(inverse(base_from_lidar), np.array(base_points, np.float64))
    points[:, 4] = np.arange(len(base_points))
    return points


@pytest.mark.parametrize("yaw", [0.0, -np.pi / 2, 2.0])
def test_only_points_in_the_box_are_left_out(yaw: float) -> None:
    mounting = planar_pose(0.94, 0.1, yaw)
    mounting[2, 3] = 1.84
    kept = [(4.1, 0, 1), (-1.1, 0, 1), (1, 1.1, 1), (1, -1.1, 1), (1, 0, 2.1), (1, 0, -0.1)]
    own = [(3.9, 0.9, 1.9), (-0.9, -0.9, 0.1), (0.94, 0.1, 1.84)]
    found = BODY.without_own(sweep([*kept, *own], mounting), mounting)
    assert found[:, 4].tolist() == list(range(len(kept)))


def test_a_sweep_without_own_returns_is_not_copied() -> None:
    points = sweep([(9, 9, 1)], np.eye(4))
    assert BODY.without_own(points, np.eye(4)) is points
    assert len(BODY.without_own(points[:0], np.eye(4))) == 0


def test_what_is_not_finite_stays_for_the_model_to_see() -> None:
    points = np.full((2, 5), np.nan, np.float32)
    assert len(BODY.without_own(points, np.eye(4))) == 2


@pytest.mark.parametrize(
    "numbers", [(1, 0, -1, 1, 0, 2), (0, 1, float("nan"), 1, 0, 2), (0, 1, -1, 1, 0, float("inf"))]
)
def test_an_impossible_box_is_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"own_body: [xyz] is"):
        OwnBody(*numbers)
