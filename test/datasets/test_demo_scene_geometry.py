"""The demo scene's road, painting order and LiDAR against what geometry says they must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.datasets.demo_scene.ground import Ground, make_noise
from distilldrive_ros.datasets.demo_scene.lidar import BEAMS, NO_OWNER, RANGE_M, Sweep, cast_sweep
from distilldrive_ros.datasets.demo_scene.painting_order import far_to_near
from distilldrive_ros.datasets.demo_scene.rig import base_from_lidar
from distilldrive_ros.datasets.demo_scene.road import demo_road
from distilldrive_ros.datasets.demo_scene.traffic import ego_s, place_traffic
from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.geometry.poses import planar_pose, transform_points

ROAD = demo_road()


@given(s=st.floats(-140, 250), d=st.floats(-40, 40))
@settings(deadline=None)
def test_road_coordinates_come_back(s: float, d: float) -> None:
    x, y = ROAD.point(s, d)
    back_s, back_d = ROAD.frenet(np.array([x]), np.array([y]))
    assert math.isclose(back_s[0], s, abs_tol=1e-6) and math.isclose(back_d[0], d, abs_tol=1e-6)


def test_road_is_smooth_across_its_joints() -> None:
    places = np.array([ROAD.pose(s) for s in np.arange(ROAD.start_s, ROAD.end_s, 0.1)])
    steps = np.linalg.norm(np.diff(places[:, :2], axis=0), axis=1)
    assert np.allclose(steps, 0.1, atol=1e-4)
    assert np.abs(np.diff(places[:, 2])).max() < 0.1 / 100.0  # no curve tighter than 100 m, no kink


def test_ego_only_drives_forward_and_slows_down() -> None:
    speeds = np.diff([ego_s(t) for t in np.arange(0.0, 6.0, 0.05)]) / 0.05
    assert speeds.min() > 3.0 and speeds.max() < 9.0 and speeds.min() < 0.7 * speeds[0]


def test_traffic_never_overlaps() -> None:
    actors = place_traffic(np.random.default_rng(3))
    for time in np.arange(0.0, 6.0, 0.5):
        boxes = np.array([a.box(ROAD, float(time)) for a in actors])
        corners = ground_corners(boxes)
        for i in range(len(boxes)):
            for j in range(i):
                assert not _overlap(corners[i], corners[j]), f"{actors[i].name} in {actors[j].name} at {time} s"


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Separating-axis test of two rectangles (4, 2)."""
    for first, second in ((a, b), (b, a)):
        for k in range(4):
            edge = first[(k + 1) % 4] - first[k]
            normal = np.array([-edge[1], edge[0]])
            if (second - first[k]).dot(normal).min() >= 0 or (second - first[k]).dot(normal).max() <= 0:
                inside = (first - first[k]).dot(normal)
                outer = (second - first[k]).dot(normal)
                if inside.max() <= outer.min() + 1e-9 or inside.min() >= outer.max() - 1e-9:
                    return False
    return True


def test_painting_order_of_boxes_in_a_row() -> None:
    boxes = np.array([[x, 0.0, 0.0, 2.0, 2.0, 1.0, 0.1] for x in (12.0, 4.0, 20.0, 8.0)])
    assert far_to_near(ground_corners(boxes), np.zeros(2)) == [2, 0, 3, 1]


def test_long_wall_is_painted_before_the_car_in_front_of_it() -> None:
    # The wall's middle is nearer to the eye than the car's, and yet the car covers the wall.
    wall, car = [0.0, 6.0, 0.0, 60.0, 1.0, 3.0, 0.0], [25.0, 4.0, 0.0, 4.0, 1.8, 1.5, 0.0]
    assert far_to_near(ground_corners(np.array([car, wall])), np.zeros(2)) == [1, 0]


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(ROAD, make_noise(np.random.default_rng(0)))


def _cast(ground: Ground, boxes: list[list[float]], owners: list[int]) -> tuple[Sweep, np.ndarray]:
    world_from_lidar = planar_pose(*ROAD.point(0.0, -1.8), ROAD.pose(0.0)[2]) @ base_from_lidar()
    local = np.array(boxes)
    pose = planar_pose(*ROAD.point(0.0, -1.8), ROAD.pose(0.0)[2])
    local[:, :2] = transform_points(pose, local[:, :2])
    local[:, 6] += ROAD.pose(0.0)[2]
    count = max(owners) + 1 if owners else 0
    sweep = cast_sweep(
        world_from_lidar, ground, local, np.array(owners), np.full(len(boxes), 40.0), count, np.random.default_rng(1)
    )
    return sweep, transform_points(base_from_lidar(), sweep.points[:, :3])


def test_lidar_sees_ground_and_box_where_they_are(ground: Ground) -> None:
    sweep, points = _cast(ground, [[10.0, 0.0, 1.5, 2.0, 6.0, 3.0, 0.0]], [0])
    rings = np.unique(sweep.points[:, 4])
    assert rings.min() == 0 and 24 <= len(rings) <= BEAMS  # the highest ones look over everything
    assert np.linalg.norm(sweep.points[:, :3], axis=1).max() < RANGE_M + 0.1
    ahead = points[(np.abs(points[:, 1]) < 2.5) & (points[:, 0] > 3) & (points[:, 2] > 0.3)]
    assert len(ahead) > 200
    assert np.abs(np.median(ahead[:, 0]) - 9.0) < 0.01  # the near face
    on_box = (np.abs(points[:, 0] - 9.0) < 0.2) & (np.abs(points[:, 1]) < 3.1)
    low = points[(points[:, 2] < 0.2) & ~on_box]
    assert np.abs(low[:, 2]).max() < 0.1  # eight standard deviations of the range noise
    shadow = (points[:, 0] > 11.5) & (points[:, 0] < 20) & (np.abs(points[:, 1]) < 1.5) & (points[:, 2] < 0.2)
    assert not shadow.any()  # nothing behind the box, where the sensor cannot look


def test_lidar_tells_how_much_of_a_box_is_hidden(ground: Ground) -> None:
    free = [12.0, 0.0, 0.75, 4.0, 2.0, 1.5, 0.0]
    half_wall = [8.0, 2.0, 1.5, 0.5, 4.0, 3.0, 0.0]  # hides the left half of what lies ahead
    alone, _ = _cast(ground, [free], [0])
    covered, _ = _cast(ground, [free, half_wall], [0, NO_OWNER])
    assert alone.visible[0] == 1.0
    assert 0.35 < covered.visible[0] < 0.65
    behind, _ = _cast(ground, [free, [8.0, 0.0, 1.5, 0.5, 6.0, 3.0, 0.0]], [0, NO_OWNER])
    assert behind.visible[0] < 0.01
