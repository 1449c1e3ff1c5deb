"""Orderings of polylines and sparse depth, against the definitions written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind
from distilldrive_ros.training.batch import DEPTH_STRIDES, NO_DEPTH, UNUSED_ORDERING
from distilldrive_ros.training.targets.depth import sparse_depth
from distilldrive_ros.training.targets.polylines import equivalent_orderings, polyline_arrays

COORDINATES = st.floats(-30, 30, width=32)


@given(st.integers(3, 20).flatmap(lambda size: arrays(np.float32, (size, 2), elements=COORDINATES)), st.booleans())
@settings(deadline=None)
def test_orderings_are_all_ways_to_draw_a_line(points: np.ndarray, close: bool) -> None:
    if close:
        points[-1] = points[0]
    elif np.linalg.norm(points[0] - points[-1]) < 1e-2:
        points[-1] = points[0] + 1
    size = len(points)
    (orders,) = equivalent_orderings(points[None])
    assert orders.shape == (2 * (size - 1), size, 2)
    np.testing.assert_array_equal(orders[0], points)
    if not close:
        np.testing.assert_array_equal(orders[1], points[::-1])
        assert (orders[2:] == UNUSED_ORDERING).all()
        return
    ring = [tuple(p) for p in points[:-1]]
    expected = set()
    for way in (ring, ring[::-1]):
        for start in range(size - 1):
            turned = way[start:] + way[:start]
            expected.add((*turned, turned[0]))
    assert {tuple(map(tuple, order)) for order in orders} == expected


def test_lines_are_resampled_in_the_networks_frame() -> None:
    base_from_network = np.array([[0, 1, 0, 1.0], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]], np.float64)
    ahead = MapPolyline(PolylineKind.DIVIDER, 1.0, np.array([[1, 0], [4, 0], [20, 0]], np.float32))
    centre = MapPolyline(PolylineKind.CENTERLINE, 1.0, np.array([[1, 0], [20, 0]], np.float32))
    lines, labels = polyline_arrays([centre, ahead], base_from_network)
    assert labels.tolist() == [1]
    np.testing.assert_allclose(lines[0], np.stack([np.zeros(20), np.linspace(0, 19, 20)], axis=-1), atol=1e-5)
    empty, none = polyline_arrays([], base_from_network)
    assert empty.shape == (0, 20, 2)
    assert equivalent_orderings(empty).shape == (0, 38, 20, 2)
    assert len(none) == 0


@given(st.integers(0, 2**31), st.integers(0, 60))
@settings(deadline=None, max_examples=40)
def test_depth_is_that_of_the_nearest_point_in_the_cell(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = 64, 32
    points = rng.uniform([-8, -3, -5], [8, 3, 80], (count, 3)).astype(np.float32)
    projection = np.eye(4)[None].repeat(2, axis=0)
    projection[:, 0, 0] = projection[:, 1, 1] = 30.0
    projection[:, 0, 2], projection[:, 1, 2] = width / 2, height / 2
    projection[1] = projection[1] @ np.diag([-1.0, 1.0, -1.0, 1.0])
    levels = sparse_depth(points, projection, width, height)
    for level, stride in zip(levels, DEPTH_STRIDES, strict=True):
        expected = np.full((2, height // stride, width // stride), np.inf)
        for camera, matrix in enumerate(projection):
            for point in points.astype(np.float64):
                ud, vd, d, _ = matrix @ [*point, 1.0]
                if d > 0.1 and 0 <= ud / d < width and 0 <= vd / d < height:
                    cell = camera, int(vd / d // stride), int(ud / d // stride)
                    expected[cell] = min(expected[cell], d, 60.0)
        np.testing.assert_allclose(level, np.where(np.isinf(expected), NO_DEPTH, expected), rtol=1e-5)
