"""The road around the vehicle on a map whose numbers are known: a block with a hole, two lanes, a crossing of two."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.datasets.route import NoRouteError
from distilldrive_ros.datasets.route_region import RouteRegion
from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.scene.vector_map import PolylineKind

Corners = list[tuple[float, float]]


def box(x0: float, y0: float, x1: float, y1: float) -> Corners:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


@pytest.fixture
def expansion(tmp_path: Path) -> MapExpansion:
    """A lane along y = 0 and one against it along y = 4; an island at x 60 to 70, y 10 to 15 in the drivable area."""
    nodes: list[dict[str, object]] = []

    def ring(name: str, corners: Corners) -> list[str]:
        tokens = [f"{name} {number}" for number in range(4)]
        nodes.extend({"token": t, "x": x, "y": y} for t, (x, y) in zip(tokens, corners, strict=True))
        return tokens

    def polygon(name: str, corners: Corners, *holes: Corners) -> dict[str, object]:
        inner = [{"node_tokens": ring(f"{name} hole {number}", hole)} for number, hole in enumerate(holes)]
        return {"token": name, "exterior_node_tokens": ring(name, corners), "holes": inner}

    def arc(x: float, y: float, heading: float) -> list[dict[str, object]]:
        start = [x, y, heading]
        return [{"start_pose": start, "shape": "LSR", "radius": 50.0, "segment_length": [0.0, 200.0, 0.0]}]

    content = {
        "polygon": [
            polygon("there", box(0, -2, 200, 2)),
            polygon("back", box(0, 2, 200, 6)),
            polygon("road", box(-10, -20, 210, 20), box(60, 10, 70, 15)),
            polygon("crossing", box(80, -10, 90, 10)),
        ],
        "node": nodes,
        "line": [],
        "lane": [{"token": name, "polygon_token": name} for name in ("there", "back")],
        "lane_connector": [],
        "drivable_area": [{"token": "road", "polygon_tokens": ["road"]}],
        "road_segment": [{"token": "crossing", "polygon_token": "crossing", "is_intersection": True}],
        "arcline_path_3": {"there": arc(0.0, 0.0, 0.0), "back": arc(200.0, 4.0, np.pi)},
        "connectivity": {},
    }
    path = tmp_path / "map.json"
    path.write_text(json.dumps(content))
    return MapExpansion(path)


def straight_drive() -> np.ndarray:
    return np.stack([np.arange(10.0, 150.0), np.zeros(140), np.zeros(140)], axis=-1)


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_region_in_base_link(expansion: MapExpansion, yaw: float) -> None:
    pose = planar_pose(50.0, 1.0, yaw)
    polylines = RouteRegion.of_drive(expansion, straight_drive()).at(pose)
    world = {
        kind: [p.xy.astype(float) @ pose[:2, :2].T + pose[:2, 3] for p in polylines if p.kind is kind]
        for kind in PolylineKind
    }
    (line,) = world[PolylineKind.CENTERLINE]
    np.testing.assert_allclose(line[:, 1], 0.0, atol=1e-4)
    assert line[0, 0] == pytest.approx(30.0, abs=1e-3) and line[-1, 0] == pytest.approx(180.0, abs=1e-3)
    outer, hole = world[PolylineKind.DRIVABLE_AREA]
    assert shapely.Polygon(hole).equals_exact(shapely.Polygon(box(60, 10, 70, 15)), 1e-3) or (
        shapely.Polygon(hole).area == pytest.approx(50.0, abs=1e-2)
    )
    assert shapely.Polygon(outer).contains(shapely.Polygon(hole))
    (crossing,) = world[PolylineKind.INTERSECTION]
    assert shapely.Polygon(crossing).area == pytest.approx(200.0, rel=1e-4)
    assert len(world[PolylineKind.ROUTE_LANE]) == len(world[PolylineKind.LANE]) == 1
    assert world[PolylineKind.ROUTE_LANE][0][:, 1].mean() < 1.0 < world[PolylineKind.LANE][0][:, 1].mean()


def test_a_drive_off_the_lanes_has_no_route(expansion: MapExpansion) -> None:
    with pytest.raises(NoRouteError, match="no lane of the map runs along the drive"):
        RouteRegion.of_drive(expansion, straight_drive() + [0.0, 500.0, 0.0])
