"""Bands on the ground."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distilldrive_ros.visualization.ground_ribbon import ribbon_quads


def test_straight_band_has_its_width_and_height() -> None:
    quads = ribbon_quads([[0, 0], [2, 0], [5, 0]], width=1.0, height=0.2)
    assert quads.shape == (2, 4, 3)
    assert quads[0].tolist() == [[0, 0.5, 0.2], [2, 0.5, 0.2], [2, -0.5, 0.2], [0, -0.5, 0.2]]


def test_neighbours_share_their_edge_in_a_bend() -> None:
    quads = ribbon_quads([[0, 0], [4, 0], [6, 3], [6, 8]], width=0.8)
    np.testing.assert_allclose(quads[:-1, 1:3], quads[1:, [0, 3]])


def test_repeated_points_are_merged() -> None:
    assert ribbon_quads([[0, 0], [0, 0], [1, 0], [1, 0]], 1.0).shape == (1, 4, 3)
    assert ribbon_quads(np.zeros((6, 2)), 1.0).shape == (0, 4, 3)


@given(arrays(np.float64, (5, 2), elements=st.floats(-30, 30)))
def test_any_line_gives_a_finite_band_of_bounded_width(line: np.ndarray) -> None:
    quads = ribbon_quads(line, 1.0)
    assert np.isfinite(quads).all()
    if len(quads):
        widths = np.linalg.norm(quads[:, 0] - quads[:, 3], axis=1)
        assert widths.max() <= 2.5 + 1e-9
