"""Clipping in front of a camera."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilldrive_ros.geometry.cameras import clip_segment_to_near_plane
from distilldrive_ros.visualization.near_plane import clip_polygon_to_near_plane, clip_segments_to_near_plane


@given(arrays(np.float64, (4, 3), elements=st.floats(-20, 20)))
def test_clipped_points_lie_in_front_and_within_the_hull(polygon: np.ndarray) -> None:
    clipped = clip_polygon_to_near_plane(polygon, 0.1)
    assert (clipped[:, 2] >= 0.1 - 1e-9).all()
    assert (clipped >= polygon.min(axis=0) - 1e-9).all() and (clipped <= polygon.max(axis=0) + 1e-9).all()


def test_clipping_cuts_where_the_plane_is() -> None:
    square = np.array([[0, 0, -1.0], [0, 0, 1.0], [2, 0, 1.0], [2, 0, -1.0]])
    clipped = clip_polygon_to_near_plane(square, 0.5)
    assert sorted(map(tuple, clipped.tolist())) == [(0, 0, 0.5), (0, 0, 1), (2, 0, 0.5), (2, 0, 1)]
    assert len(clip_polygon_to_near_plane(square - [0, 0, 5.0], 0.5)) == 0


def test_a_whole_polygon_is_left_as_it_is() -> None:
    triangle = np.array([[0, 0, 1.0], [1, 0, 2.0], [0, 1, 3.0]])
    assert clip_polygon_to_near_plane(triangle).tolist() == triangle.tolist()


@given(arrays(np.float64, (6, 2, 3), elements=st.floats(-20, 20)))
def test_many_segments_are_clipped_as_each_alone(segments: np.ndarray) -> None:
    alone = [c for start, end in segments if (c := clip_segment_to_near_plane(start, end, 0.1)) is not None]
    together = clip_segments_to_near_plane(segments, 0.1)
    assert len(together) == len(alone)
    if alone:
        np.testing.assert_allclose(together, np.stack(alone), atol=1e-9)


def test_no_segments() -> None:
    assert clip_segments_to_near_plane(np.empty((0, 2, 3))).shape == (0, 2, 3)
