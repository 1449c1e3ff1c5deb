"""The demo road as a nuScenes map: expansion JSON (schema version 1.3) and the raster of the drivable area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from distilldrive_ros.datasets.demo_scene.road import (
    CROSSING_S,
    LANE_WIDTH,
    ROAD_HALF_WIDTH,
    STOP_LINE_S,
    WALK_OUTER,
    Road,
    RoadSegment,
)

Array = NDArray[np.float64]
Record = dict[str, Any]

CANVAS_M = (500.0, 320.0)
RASTER_PX_PER_M = 10


@dataclass
class _MapTables:
    """Geometry tables under construction; `token` makes a token from a name."""

    token: Callable[[str], str]
    node: list[Record] = field(default_factory=list)
    line: list[Record] = field(default_factory=list)
    polygon: list[Record] = field(default_factory=list)

    def add_nodes(self, points: Array) -> list[str]:
        tokens = [self.token(f"node/{len(self.node) + i}") for i in range(len(points))]
        self.node += [
            {"token": t, "x": round(float(x), 6), "y": round(float(y), 6)}
            for t, (x, y) in zip(tokens, points, strict=True)
        ]
        return tokens

    def add_line(self, points: Array) -> Record:
        record = {"token": self.token(f"line/{len(self.line)}"), "node_tokens": self.add_nodes(points)}
        self.line.append(record)
        return record

    def add_polygon(self, points: Array) -> str:
        token = self.token(f"polygon/{len(self.polygon)}")
        self.polygon.append({"token": token, "exterior_node_tokens": self.add_nodes(points), "holes": []})
        return token


def map_expansion(road: Road, token: Callable[[str], str]) -> Record:
    """All layers of `maps/expansion/<location>.json`."""
    tables = _MapTables(token)
    outline = tables.add_polygon(road.strip(road.start_s, road.end_s, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH))
    area, segment = token("drivable_area"), token("road_segment")
    crossing = token("ped_crossing")
    crossing_polygon = tables.add_polygon(road.strip(*CROSSING_S, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH))
    lanes, arclines, connectivity = _lanes(road, tables)
    walkways = [
        {
            "token": token(f"walkway/{i}"),
            "polygon_token": tables.add_polygon(road.strip(road.start_s, road.end_s, *sides)),
        }
        for i, sides in enumerate(((-WALK_OUTER, -ROAD_HALF_WIDTH), (ROAD_HALF_WIDTH, WALK_OUTER)))
    ]
    return {
        "version": "1.3",
        "canvas_edge": list(CANVAS_M),
        "polygon": tables.polygon,
        "line": tables.line,
        "node": tables.node,
        "drivable_area": [{"token": area, "polygon_tokens": [outline]}],
        "road_segment": [
            {"token": segment, "polygon_token": outline, "is_intersection": False, "drivable_area_token": area}
        ],
        "road_block": [],
        "lane": lanes,
        "lane_connector": [],
        "ped_crossing": [{"token": crossing, "polygon_token": crossing_polygon, "road_segment_token": segment}],
        "walkway": walkways,
        "stop_line": _stop_lines(road, tables, crossing),
        "carpark_area": [],
        "road_divider": _road_dividers(road, tables, segment),
        "lane_divider": _lane_dividers(road, tables),
        "traffic_light": [],
        "arcline_path_3": arclines,
        "connectivity": connectivity,
    }


def _free_of_crossing(road: Road) -> Sequence[tuple[float, float]]:
    """Stretches where lines are painted: they stop short of the crossing."""
    beyond = CROSSING_S[0] + CROSSING_S[1] - STOP_LINE_S
    return ((road.start_s, STOP_LINE_S - 1.0), (beyond + 1.0, road.end_s))


def _road_dividers(road: Road, tables: _MapTables, segment: str) -> list[Record]:
    records: list[Record] = []
    for i, stretch in enumerate(_free_of_crossing(road)):
        line = tables.add_line(road.line(*stretch, 0.0))
        records.append(
            {"token": tables.token(f"road_divider/{i}"), "line_token": line["token"], "road_segment_token": segment}
        )
    return records


def _lane_dividers(road: Road, tables: _MapTables) -> list[Record]:
    records: list[Record] = []
    for d in (-LANE_WIDTH, LANE_WIDTH):
        for stretch in _free_of_crossing(road):
            line = tables.add_line(road.line(*stretch, d))
            pieces = [{"node_token": t, "segment_type": "SINGLE_SOLID_WHITE"} for t in line["node_tokens"]]
            name = tables.token(f"lane_divider/{len(records)}")
            records.append({"token": name, "line_token": line["token"], "lane_divider_segments": pieces})
    return records


def _stop_lines(road: Road, tables: _MapTables, crossing: str) -> list[Record]:
    beyond = CROSSING_S[0] + CROSSING_S[1] - STOP_LINE_S
    records: list[Record] = []
    for i, (s, sides) in enumerate(((STOP_LINE_S, (-LANE_WIDTH, 0.0)), (beyond, (0.0, LANE_WIDTH)))):
        records.append(
            {
                "token": tables.token(f"stop_line/{i}"),
                "polygon_token": tables.add_polygon(road.strip(s - 0.2, s + 0.2, *sides)),
                "stop_line_type": "PED_CROSSING",
                "ped_crossing_tokens": [crossing],
                "traffic_light_tokens": [],
                "road_block_token": "",
            }
        )
    return records


def _lanes(road: Road, tables: _MapTables) -> tuple[list[Record], Record, Record]:
    """One lane per road segment and direction, its centre line as an arc, and which follows which."""
    lanes: list[Record] = []
    arclines: Record = {}
    connectivity: Record = {}
    for name, sides, forward in (("right", (-LANE_WIDTH, 0.0), True), ("left", (0.0, LANE_WIDTH), False)):
        tokens = [tables.token(f"lane/{name}/{i}") for i in range(len(road.segments))]
        for i, segment in enumerate(road.segments):
            start, end = segment.start_s, segment.start_s + segment.length
            ends = [tables.add_line(np.array([road.point(s, d) for d in sides]))["token"] for s in (start, end)]
            lanes.append(
                {
                    "token": tokens[i],
                    "polygon_token": tables.add_polygon(road.strip(start, end, *sides)),
                    "lane_type": "CAR",
                    "from_edge_line_token": ends[0] if forward else ends[1],
                    "to_edge_line_token": ends[1] if forward else ends[0],
                    "left_lane_divider_segments": [],
                    "right_lane_divider_segments": [],
                }
            )
            arclines[tokens[i]] = [_arcline(segment, sum(sides) / 2, forward)]
            before, after = tokens[max(i - 1, 0) : i], tokens[i + 1 : i + 2]
            connectivity[tokens[i]] = {
                "incoming": before if forward else after,
                "outgoing": after if forward else before,
            }
    return lanes, arclines, connectivity


def _arcline(segment: RoadSegment, d: float, forward: bool) -> Record:
    """A piece of centre line at offset d: left arc, straight and right arc in a row, two of them of no length."""
    poses = []
    for distance in (0.0, segment.length) if forward else (segment.length, 0.0):
        x, y, heading = segment.pose(distance)
        turned = heading if forward else heading + np.pi
        place = (x - d * np.sin(heading), y + d * np.cos(heading), (turned + np.pi) % (2 * np.pi) - np.pi)
        poses.append([round(float(value), 6) for value in place])
    length = segment.length * (1 - segment.curvature * d)
    turn = float(np.sign(segment.curvature)) * (1 if forward else -1)
    radius = abs(1 / segment.curvature - d) if segment.curvature else 999.999
    lengths = [length if turn == kind else 0.0 for kind in (1.0, 0.0, -1.0)]
    return {
        "start_pose": poses[0],
        "end_pose": poses[1],
        "shape": "LSR",
        "radius": round(radius, 6),
        "segment_length": [round(value, 6) for value in lengths],
    }


def map_raster(road: Road) -> Image.Image:
    """The drivable area, 255 inside, 0.1 m per pixel; row 0 is the north edge."""
    width, height = (round(edge * RASTER_PX_PER_M) for edge in CANVAS_M)
    outline = road.strip(road.start_s, road.end_s, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH) * RASTER_PX_PER_M
    image = Image.new("L", (width, height), 0)
    ImageDraw.Draw(image).polygon([(float(x), height - 1 - float(y)) for x, y in outline], fill=255)
    return image
