"""Overlap of rectangles against another way to decide it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.geometry.rectangles import rectangle_corners, rectangles_overlap

RECTANGLE = st.tuples(
    st.floats(-6, 6), st.floats(-6, 6), st.floats(0.2, 8), st.floats(0.2, 4), st.floats(-math.pi, math.pi)
)


def crossing_or_inside(first: np.ndarray, second: np.ndarray, slack: float) -> bool:
    """Whether a corner of one (grown by `slack`) lies in the other, or two edges cross."""
    grown = [np.array([*r[:2], r[2] + slack, r[3] + slack, r[4]]) for r in (first, second)]
    polygons = [rectangle_corners(r) for r in grown]

    def side(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> float:
        return float((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]))

    for one, other in (polygons, polygons[::-1]):
        for corner in one:
            signs = [side(other[i], other[(i + 1) % 4], corner) for i in range(4)]
            if all(s >= 0 for s in signs) or all(s <= 0 for s in signs):
                return True
    for i in range(4):
        for j in range(4):
            a, b = polygons[0][i], polygons[0][(i + 1) % 4]
            c, d = polygons[1][j], polygons[1][(j + 1) % 4]
            if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
                return True
    return False


@given(RECTANGLE, RECTANGLE)
def test_overlap_is_a_shared_point(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, b = np.array(first), np.array(second)
    found = bool(rectangles_overlap(a, b))
    assert found == bool(rectangles_overlap(b, a))
    # Borders that touch within rounding may go either way.
    if crossing_or_inside(a, b, 1e-6) == crossing_or_inside(a, b, -1e-6):
        assert found == crossing_or_inside(a, b, 0.0)


def test_touching_counts_and_nan_never() -> None:
    square = np.array([0, 0, 2, 2, 0.0])
    assert rectangles_overlap(square, [2.0, 0, 2, 2, 0])
    assert not rectangles_overlap(square, [2.001, 0, 2, 2, 0])
    assert not rectangles_overlap(square, [0, 0, 2, 2, np.nan])


def test_corners_are_those_of_the_spec() -> None:
    expected = [(-0.27574, 0.16357), (-1.23459, 1.91873), (2.27574, 3.83643), (3.23459, 2.08127)]
    found = rectangle_corners([1, 2, 4, 2, 0.5])
    assert sorted(map(tuple, np.round(found, 5).tolist())) == sorted(expected)
    same = ground_corners([[1, 2, 0, 4, 2, 1, 0.5]])[0]
    np.testing.assert_allclose(found[found[:, 0].argsort()], same[same[:, 0].argsort()])
