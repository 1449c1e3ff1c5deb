"""The route of a drive through a lane graph: what follows what, and where it changed lanes."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from distilldrive_ros.datasets.map_expansion import Lane
from distilldrive_ros.datasets.route import NoRouteError, find_route
from distilldrive_ros.geometry.paths import Path as RoadPath


def lane(token: str, points: list[list[float]], successors: tuple[str, ...] = (), connector: bool = False) -> Lane:
    line = shapely.LineString(points)
    return Lane(token, connector, line.buffer(1.75, cap_style="flat"), line, successors)


def test_route_follows_successors_and_lane_changes() -> None:
    lanes = [
        lane("a", [[0, 0], [50, 0]], ("b", "turn")),
        lane("turn", [[50, 0], [60, 3], [65, 20]], connector=True),
        lane("b", [[50, 0], [100, 0]]),
        lane("left", [[0, 3.5], [100, 3.5]]),
        lane("oncoming", [[100, 7], [0, 7]]),
    ]
    straight = np.stack([np.arange(5.0, 95.0), np.zeros(90), np.zeros(90)], axis=-1)
    route = find_route(lanes, straight)
    assert {"a", "b", "left"} <= route.lanes and "oncoming" not in route.lanes
    np.testing.assert_allclose(route.centerline[:, 1], 0.0, atol=1e-9)
    assert route.centerline[0, 0] == 0.0 and route.centerline[-1, 0] > 200.0
    changing = straight.copy()
    changing[:, 1] = 3.5 / (1 + np.exp(-(changing[:, 0] - 40.0) / 3.0))
    moved = find_route(lanes, changing)
    assert moved.centerline[0, 1] == 0.0 and moved.centerline[-1, 1] == pytest.approx(3.5)
    across = RoadPath(moved.centerline).locate(changing[:, :2])[1]
    assert np.abs(across).max() < 1.8
    with pytest.raises(NoRouteError, match="no lane"):
        find_route(lanes, straight + [0.0, 300.0, 0.0])
    assert find_route(lanes, straight[:1]).lanes >= {"a"}
