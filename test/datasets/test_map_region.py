"""Map expansion: layers, arc-lines, and the region around the vehicle, on a road whose numbers are known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.datasets.arcline import discretize_arclines
from distilldrive_ros.datasets.map_expansion import MapExpansion, open_map
from distilldrive_ros.datasets.map_region import map_region
from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.scene.vector_map import PolylineKind

LIDAR = planar_pose(0.94, 0.0, -math.pi / 2)


@pytest.fixture
def expansion(tiny, tiny_root) -> MapExpansion:
    found = open_map(tiny_root.path, tiny.PLACE)
    assert found is not None
    return found


def of_kind(polylines, kind):
    return [p.xy for p in polylines if p.kind == kind]


def test_layers(expansion):
    counts = [len(x) for x in (expansion.dividers, expansion.crossings, expansion.road, expansion.centerlines)]
    assert counts == [1, 2, 3, 1]  # the divider that both layers hold counts once


@pytest.mark.parametrize("yaw", [0.0, math.pi / 2, 2.5])
def test_region_in_base_link(expansion, yaw):
    """However the vehicle stands, points come out in its own frame, within the region about the LiDAR."""
    pose = planar_pose(100.0, 200.0, yaw)
    polylines = map_region(expansion, pose, LIDAR)
    every = np.concatenate([p.xy for p in polylines])
    assert (np.abs(every[:, 0] - 0.94) <= 30.001).all() and (np.abs(every[:, 1]) <= 15.001).all()
    world = every @ pose[:2, :2].T + pose[:2, 3]
    assert world[:, 1].min() == pytest.approx(196.0, abs=1e-3) and world[:, 1].max() == pytest.approx(204.0, abs=1e-3)


def test_elements_of_the_road(expansion):
    polylines = map_region(expansion, planar_pose(100.0, 200.0, 0.0), LIDAR)
    (divider,) = of_kind(polylines, PolylineKind.DIVIDER)
    assert np.sort(divider[:, 0]) == pytest.approx([-29.06, 30.94], abs=1e-4) and divider[:, 1] == pytest.approx([0, 0])
    # The two halves of the crossing touch and are parallel: one closed outline of 3 m by 8 m.
    (crossing,) = of_kind(polylines, PolylineKind.CROSSING)
    assert crossing[0].tolist() == crossing[-1].tolist()
    assert (crossing.min(0).tolist(), crossing.max(0).tolist()) == ([10.0, -4.0], [13.0, 4.0])
    # The road's two edges; the ends of the region are no boundary, and the margin of 0.2 m is cut off.
    edges = sorted(of_kind(polylines, PolylineKind.BOUNDARY), key=lambda e: e[0, 1])
    assert len(edges) == 2
    for edge, side in zip(edges, (-4.0, 4.0), strict=True):
        assert edge[:, 1] == pytest.approx(np.full(len(edge), side), abs=1e-4)
        assert np.ptp(edge[:, 0]) == pytest.approx(59.6, abs=1e-4)
    # Outer boundaries run clockwise: seen from the vehicle, forward on the left and backward on the right.
    assert edges[1][-1, 0] > edges[1][0, 0] and edges[0][-1, 0] < edges[0][0, 0]
    (lane,) = of_kind(polylines, PolylineKind.CENTERLINE)
    assert lane[-1, 0] > lane[0, 0] and lane[:, 1] == pytest.approx(np.full(len(lane), -1.75), abs=1e-4)


def test_far_from_any_road(expansion):
    assert map_region(expansion, planar_pose(1000.0, 0.0, 0.0), LIDAR) == ()


def test_without_road_segments_the_drivable_area_is_the_road(tiny, tiny_root):
    path = tiny_root.path / "maps" / "expansion" / f"{tiny.PLACE}.json"
    content = json.loads(path.read_text())
    content["drivable_area"] = [{"token": "a", "polygon_tokens": ["p3"]}]
    content["road_segment"] = []
    path.write_text(json.dumps(content))
    road = MapExpansion(path).road
    assert len(road) == 1


def test_roots_without_expansion_have_no_map(tmp_path):
    assert open_map(tmp_path, "singapore-onenorth") is None
    assert open_map(tmp_path, "") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"lane": []}'])
def test_broken_map_file_names_its_path(tmp_path, text):
    path = tmp_path / "maps" / "expansion" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DatasetError) as error:
        open_map(tmp_path, "x")
    assert str(path) in str(error.value)


def test_dangling_node_names_layer_and_token(tiny, tiny_root):
    path = tiny_root.path / "maps" / "expansion" / f"{tiny.PLACE}.json"
    content = json.loads(path.read_text())
    content["line"][0]["node_tokens"][0] = "nowhere"
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"lane_divider.*nowhere"):
        _ = MapExpansion(path).dividers


def test_half_circle_to_the_left_and_straight_on():
    path = [{"start_pose": [0.0, 0.0, 0.0], "shape": "LSR", "radius": 10.0, "segment_length": [math.pi * 10, 5.0, 0.0]}]
    points = discretize_arclines(path, 0.5)
    assert points[0] == pytest.approx([0, 0]) and points[-1] == pytest.approx([-5.0, 20.0])
    arc = points[points[:, 0] > 1e-9]
    assert np.hypot(arc[:, 0], arc[:, 1] - 10) == pytest.approx(np.full(len(arc), 10.0))


@given(
    yaw=st.floats(-3, 3),
    radius=st.floats(2, 80),
    lengths=st.lists(st.floats(0, 30), min_size=3, max_size=3),
    shape=st.sampled_from(["LSR", "RSL", "LRL", "RLR", "LSL", "RSR"]),
)
def test_arclines_have_the_right_length_and_spacing(yaw, radius, lengths, shape):
    path = [{"start_pose": [3.0, -2.0, yaw], "shape": shape, "radius": radius, "segment_length": lengths}]
    points = discretize_arclines(path, 0.25)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert (steps <= 0.25 + 1e-9).all()
    assert steps.sum() == pytest.approx(sum(lengths), rel=1e-3, abs=1e-9)


def test_arclines_of_the_real_map_end_where_they_should(shared_dir: Path):
    path = shared_dir / "data/nuscenes-mini-tables/maps/expansion/singapore-onenorth.json"
    lanes = json.loads(path.read_text())["arcline_path_3"]
    assert len(lanes) == 460
    ends = [(discretize_arclines(p, 1.0)[-1], p[-1]["end_pose"][:2]) for p in lanes.values()]
    off = np.array([np.linalg.norm(np.subtract(*pair)) for pair in ends])
    # Arcs are fitted and their numbers rounded: the README of the data says at most 0.08 m off, mostly below 0.02 m.
    assert off.max() < 0.1 and np.median(off) < 0.02
