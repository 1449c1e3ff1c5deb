"""Boxes against polygons of shapely, and trajectories and projections against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilldrive_ros.geometry import boxes, cameras, trajectories

sizes = st.floats(0.1, 20)
box_strategy = st.tuples(
    st.floats(-50, 50), st.floats(-50, 50), st.floats(-3, 3), sizes, sizes, sizes, st.floats(-7, 7)
).map(np.array)


@given(box_strategy, arrays(np.float64, (20, 3), elements=st.floats(-60, 60)))
def test_points_in_box_equals_polygon(box: np.ndarray, points: np.ndarray) -> None:
    polygon = shapely.Polygon(boxes.ground_corners(box)[0])
    flat = shapely.points(points[:, :2])
    distance = shapely.distance(polygon.exterior, flat)
    inside = shapely.contains(polygon, flat) & (np.abs(points[:, 2] - box[2]) < box[5] / 2)
    clear = (distance > 1e-6) & (np.abs(np.abs(points[:, 2] - box[2]) - box[5] / 2) > 1e-6)
    assert (boxes.points_in_box(box, points) == inside)[clear].all()


def test_corners_of_the_specification() -> None:
    # DistillDrive spec 18.5 lists the same four points, counted from the rear right.
    got = boxes.ground_corners([1, 2, 0, 4, 2, 1, 0.5])[0]
    expected = [[2.27574, 3.83643], [3.23459, 2.08127], [-0.27574, 0.16357], [-1.23459, 1.91873]]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@given(box_strategy)
def test_corners_and_edges(box: np.ndarray) -> None:
    corners = boxes.box_corners(box)[0]
    lengths = sorted(float(np.linalg.norm(corners[a] - corners[b])) for a, b in boxes.BOX_EDGES)
    assert lengths == pytest.approx(sorted([*box[3:6]] * 4), rel=1e-6)
    np.testing.assert_allclose(corners.mean(axis=0), box[:3], atol=1e-9)


def test_headings_hold_at_standstill() -> None:
    points = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0 + 1e-5], [0.0, 1.0 + 1e-5]])
    np.testing.assert_allclose(
        trajectories.headings(points), [0, math.pi / 2, math.pi / 2, math.pi / 2, math.pi], atol=1e-4
    )
    np.testing.assert_allclose(trajectories.headings(np.zeros((4, 2)), initial=0.3), 0.3)


def test_speeds_and_resampling() -> None:
    np.testing.assert_allclose(trajectories.speeds([[1.0, 0], [1, 2]], 0.5), [2, 4])
    line = trajectories.resample_polyline([[0.0, 0], [3, 0], [3, 4]], 8)
    np.testing.assert_allclose(np.linalg.norm(np.diff(line, axis=0), axis=1), 1, atol=1e-9)


K = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])


def test_projection() -> None:
    pixels, depth = cameras.project_points(K, np.eye(4), [[1, 2, 10], [0, 0, -1]])
    np.testing.assert_allclose(pixels[0], [60, 60])
    assert np.isnan(pixels[1]).all()
    np.testing.assert_allclose(depth, [10, -1])


@given(arrays(np.float64, (2, 3), elements=st.floats(-20, 20)))
def test_clipping_at_the_near_plane(segment: np.ndarray) -> None:
    clipped = cameras.clip_segment_to_near_plane(*segment)
    if (segment[:, 2] < cameras.NEAR_PLANE_M).all():
        assert clipped is None
        return
    assert clipped is not None
    assert (clipped[:, 2] >= cameras.NEAR_PLANE_M - 1e-9).all()
    direction = segment[1] - segment[0]
    assert np.linalg.norm(np.cross(clipped - segment[0], direction), axis=1).max() < 1e-6 * (1 + direction @ direction)
