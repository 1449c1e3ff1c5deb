"""A polyline as a road to drive along."""

from __future__ import annotations

import numpy as np
import pytest

from distilldrive_ros.geometry.paths import Path


def test_path_around_a_bend() -> None:
    angle = np.linspace(0, np.pi / 2, 91)
    path = Path(np.stack([20 * np.sin(angle), 20 - 20 * np.cos(angle)], axis=-1))
    assert path.length == pytest.approx(10 * np.pi, rel=1e-4)
    along, left = path.locate([[19 * np.sin(0.5), 20 - 19 * np.cos(0.5)], [21 * np.sin(1.0), 20 - 21 * np.cos(1.0)]])
    np.testing.assert_allclose(along, [10.0, 20.0], atol=1e-2)
    np.testing.assert_allclose(left, [1.0, -1.0], atol=1e-2)
    np.testing.assert_allclose(path.poses(10.0)[2], 0.5, atol=1e-3)
    inner = path.shifted(2.0)
    assert inner.length == pytest.approx(9 * np.pi, rel=2e-3)
    beyond = path.poses(path.length + 5.0)
    np.testing.assert_allclose(beyond[:2], [20.0, 25.0], atol=0.1)
    with pytest.raises(ValueError, match="two different points"):
        Path([[1.0, 2.0], [1.0, 2.0]])
