"""A place as a nuScenes map: all layers, no dangling token, the same geometry when it is read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.testing import assert_allclose

from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.datasets.nuscenes_writer.map_tables import GEOMETRY, LAYERS
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.map_frame import MARGIN_M, MapFrame, map_frame
from distilldrive_ros.worlds.dataset.place_map import place_expansion, place_raster
from distilldrive_ros.worlds.dataset.road_blocks import road_blocks
from distilldrive_ros.worlds.world import Place


def token(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def frame(place: Place) -> MapFrame:
    return map_frame(place)


@pytest.fixture(scope="module")
def document(place: Place, frame: MapFrame) -> dict[str, Any]:
    return place_expansion(place, frame, token)


def test_every_layer_is_there_and_tokens_are_unique(document: dict[str, Any], frame: MapFrame) -> None:
    assert document["version"] == "1.3" and document["canvas_edge"] == list(frame.canvas)
    for layer in (*GEOMETRY, *LAYERS):
        tokens = [record["token"] for record in document[layer]]
        assert len(tokens) == len(set(tokens)), layer
    counts = {layer: len(document[layer]) for layer in LAYERS}
    assert counts == {
        "drivable_area": 1, "road_segment": 2, "road_block": 2, "lane": 3, "lane_connector": 1, "ped_crossing": 1,
        "walkway": 2, "stop_line": 2, "carpark_area": 0, "road_divider": 1, "lane_divider": 1, "traffic_light": 1,
    }  # fmt: skip


def test_every_reference_points_to_a_record(document: dict[str, Any]) -> None:
    known = {layer: {record["token"] for record in document[layer]} for layer in (*GEOMETRY, *LAYERS)}
    lanes = known["lane"] | known["lane_connector"]

    def check(record: Any) -> None:
        if isinstance(record, list):
            for item in record:
                check(item)
        elif isinstance(record, dict):
            for key, value in record.items():
                name = key.removesuffix("_tokens").removesuffix("_token")
                if name != key and key != "token":
                    layer = next(layer for layer in known if name.endswith(layer))  # from_edge_line: a line
                    for reference in value if isinstance(value, list) else [value]:
                        assert reference in known[layer], (key, reference)
                else:
                    check(value)

    for layer in (*GEOMETRY, *LAYERS):
        check(document[layer])
    assert set(document["arcline_path_3"]) == set(document["connectivity"]) == lanes
    for neighbours in document["connectivity"].values():
        assert set(neighbours["incoming"]) | set(neighbours["outgoing"]) <= lanes


def test_our_reader_finds_the_place_again(
    document: dict[str, Any], place: Place, frame: MapFrame, tmp_path: Path
) -> None:
    path = tmp_path / "hand-made.json"
    path.write_text(json.dumps(document))
    expansion = MapExpansion(path)
    by_token = {token(f"lane/{lane.token}"): lane for lane in place.lanes}
    for lane in expansion.lanes:
        made = by_token[lane.token]
        assert lane.is_connector == made.is_connector
        line = frame.geometry(shapely.LineString(made.centerline))
        assert shapely.hausdorff_distance(lane.centerline, line) < 0.6  # points a metre apart
        assert lane.centerline.length == pytest.approx(line.length, rel=1e-3)
        assert lane.polygon.symmetric_difference(frame.geometry(made.polygon)).area < 1e-3
    successors = {by_token[lane.token].token: [by_token[t].token for t in lane.successors] for lane in expansion.lanes}
    assert successors == {"east_0": [], "east_1": ["over"], "over": [], "west_0": []}
    everywhere = shapely.box(0, 0, *frame.canvas)
    (area,) = expansion.drivable_areas.near(everywhere)
    assert area.symmetric_difference(frame.geometry(place.drivable[0])).area < 1e-3
    assert len(expansion.intersections) == 1 and len(expansion.dividers) == 2 and len(expansion.crossings) == 1


def test_lanes_know_the_paint_on_their_sides(document: dict[str, Any]) -> None:
    lane = {record["token"]: record for record in document["lane"]}
    types = {
        name: [
            {segment["segment_type"] for segment in lane[token(f"lane/{name}")][f"{side}_lane_divider_segments"]}
            for side in ("left", "right")
        ]
        for name in ("east_0", "east_1", "west_0")
    }
    dashed, double = {"SINGLE_DASHED_WHITE"}, {"DOUBLE_SOLID_YELLOW"}
    assert types == {"east_0": [dashed, set()], "east_1": [double, dashed], "west_0": [double, set()]}


def test_stop_lines_name_what_they_are_for(document: dict[str, Any]) -> None:
    lit, free = document["stop_line"]
    (light,) = document["traffic_light"]
    assert lit["stop_line_type"] == "TRAFFIC_LIGHT" and lit["traffic_light_tokens"] == [light["token"]]
    assert lit["ped_crossing_tokens"] == [document["ped_crossing"][0]["token"]]
    assert free["stop_line_type"] == "YIELD"
    assert lit["road_block_token"] != free["road_block_token"]
    assert light["from_road_block_token"] == lit["road_block_token"]
    assert [item["color"] for item in light["items"]] == ["RED", "YELLOW", "GREEN"]


def test_lanes_of_one_direction_are_one_block(place: Place) -> None:
    assert [[lane.token for lane in block] for block in road_blocks(place)] == [["east_0", "east_1"], ["west_0"]]


def test_map_has_no_negative_coordinates_and_a_margin(document: dict[str, Any], place: Place, frame: MapFrame) -> None:
    nodes = np.array([[node["x"], node["y"]] for node in document["node"]])
    assert nodes.min() >= MARGIN_M - 1e-6
    assert (nodes.max(axis=0) <= np.array(frame.canvas) - MARGIN_M + 1).all()
    pose = np.eye(4)
    pose[:2, 3] = place.lanes[0].centerline[0]
    assert_allclose(frame.pose(pose)[:2, 3], frame.points(place.lanes[0].centerline)[0])


def test_raster_is_white_where_the_area_is(place: Place, frame: MapFrame) -> None:
    raster = np.asarray(place_raster(place, frame))
    assert raster.shape == tuple(round(10 * edge) for edge in frame.canvas[::-1])
    assert set(np.unique(raster)) == {0, 255}
    assert (raster == 255).sum() / 100 == pytest.approx(place.drivable[0].area, rel=0.02)
    x, y = frame.points(place.lanes[0].centerline)[1]
    assert raster[len(raster) - 1 - round(10 * y), round(10 * x)] == 255


@pytest.mark.parametrize(
    ("areas", "said"),
    [((), "no drivable area"), ((shapely.box(0, 0, 9000, 10),), "9040 m by 50 m")],
)
def test_places_without_a_map_are_refused(place: Place, areas: tuple[shapely.Polygon, ...], said: str) -> None:
    with pytest.raises(WorldError, match=said):
        map_frame(replace(place, drivable=areas, walkways=(), crossings=()))
