"""Centre lines as arcs: as few as possible, none off the line, read back by our own reader."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from distilldrive_ros.datasets.arcline import discretize_arclines
from distilldrive_ros.datasets.nuscenes_writer.arclines import TOLERANCE_M, arc_record, fit_arclines


def arc(radius: float, turn: float, count: int, yaw: float = 0.3) -> np.ndarray:
    angles = yaw + np.linspace(0, turn, count)
    return np.stack([radius * (np.sin(angles) - math.sin(yaw)), -radius * (np.cos(angles) - math.cos(yaw))], -1)


@pytest.mark.parametrize(("radius", "turn"), [(12.0, 1.4), (-12.0, -1.4), (150.0, 0.4), (-6.0, -2.2)])
def test_points_of_a_circle_become_one_arc(radius: float, turn: float) -> None:
    points = arc(radius, turn, 40)
    (piece,) = fit_arclines(points)
    assert piece["radius"] == pytest.approx(abs(radius), rel=1e-3)
    assert sum(piece["segment_length"]) == pytest.approx(abs(radius * turn), rel=1e-3)
    assert piece["shape"][0] == ("L" if turn > 0 else "R") and piece["segment_length"][0] > 0
    assert_allclose(piece["start_pose"], [0, 0, 0.3], atol=1e-3)
    assert_allclose(discretize_arclines([piece], 0.5)[-1], points[-1], atol=1e-3)


def test_straight_points_become_one_straight_piece() -> None:
    (piece,) = fit_arclines(np.stack([np.linspace(0, 90, 91), np.full(91, 2.0)], -1))
    assert piece["shape"] == "LSR" and piece["segment_length"] == [0.0, 90.0, 0.0]


def test_two_long_edges_at_a_corner_stay_two() -> None:
    # All three points lie on a circle; the edges between them do not.
    pieces = fit_arclines(np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 20.0]]))
    assert [sum(p["segment_length"]) for p in pieces] == [20.0, 20.0]


def test_repeated_points_are_no_pieces() -> None:
    assert len(fit_arclines(np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0, 0.0]]))) == 1


@given(
    st.lists(st.tuples(st.floats(0.3, 8), st.floats(-0.5, 0.5)), min_size=1, max_size=40), st.floats(-math.pi, math.pi)
)
def test_no_line_is_missed(steps: list[tuple[float, float]], yaw: float) -> None:
    headings = yaw + np.cumsum([turn for _, turn in steps])
    lengths = np.array([length for length, _ in steps])[:, None]
    points = np.concatenate(
        [np.zeros((1, 2)), np.cumsum(lengths * np.stack([np.cos(headings), np.sin(headings)], -1), axis=0)]
    )
    pieces = fit_arclines(points)
    back = discretize_arclines(pieces, 0.2)
    assert_allclose(back[0], points[0], atol=1e-5)
    assert_allclose(back[-1], points[-1], atol=1e-3)
    line = shapely.LineString(points)
    assert shapely.distance(shapely.points(back), line).max() < TOLERANCE_M + 1e-3
    assert shapely.distance(shapely.points(points), shapely.LineString(back)).max() < TOLERANCE_M + 5e-3


def test_headings_are_kept_within_half_a_turn() -> None:
    record = arc_record((0.0, 0.0, 4.0), (1.0, 0.0, -4.0), 0.0, 1.0)
    assert record["start_pose"][2] == pytest.approx(4.0 - 2 * math.pi, abs=1e-6)
    assert record["end_pose"][2] == pytest.approx(2 * math.pi - 4.0, abs=1e-6)
