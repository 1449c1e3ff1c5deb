"""The demo road as a nuScenes map: expansion JSON (schema version 1.3) and the raster of the drivable area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.datasets.demo_scene.road import (
    CROSSING_S,
    LANE_WIDTH,
    ROAD_HALF_WIDTH,
    STOP_LINE_S,
    WALK_OUTER,
    Road,
    RoadSegment,
)
from distilldrive_ros.datasets.nuscenes_writer.arclines import arc_record
from distilldrive_ros.datasets.nuscenes_writer.map_raster import drivable_raster
from distilldrive_ros.datasets.nuscenes_writer.map_tables import MapTables

Array = NDArray[np.float64]
Record = dict[str, Any]

CANVAS_M = (500.0, 320.0)


def map_expansion(road: Road, token: Callable[[str], str]) -> Record:
    """All layers of `maps/expansion/<location>.json`; `token` makes a token from a name."""
    tables = MapTables(token)
    outline = tables.add_polygon(_outline(road))
    area = tables.add("drivable_area", polygon_tokens=[outline])
    segment = tables.add("road_segment", polygon_token=outline, is_intersection=False, drivable_area_token=area)
    crossing_polygon = tables.add_polygon(road.strip(*CROSSING_S, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH))
    crossing = tables.add("ped_crossing", polygon_token=crossing_polygon, road_segment_token=segment)
    _add_lanes(road, tables)
    for sides in ((-WALK_OUTER, -ROAD_HALF_WIDTH), (ROAD_HALF_WIDTH, WALK_OUTER)):
        tables.add("walkway", polygon_token=tables.add_polygon(road.strip(road.start_s, road.end_s, *sides)))
    _add_stop_lines(road, tables, crossing)
    for stretch in _free_of_crossing(road):
        line, _ = tables.add_line(road.line(*stretch, 0.0))
        tables.add("road_divider", line_token=line, road_segment_token=segment)
    for d in (-LANE_WIDTH, LANE_WIDTH):
        for stretch in _free_of_crossing(road):
            tables.add_lane_divider(road.line(*stretch, d), "SINGLE_SOLID_WHITE")
    return tables.document(CANVAS_M)


def _outline(road: Road) -> Array:
    return road.strip(road.start_s, road.end_s, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH)


def _free_of_crossing(road: Road) -> Sequence[tuple[float, float]]:
    """Stretches where lines are painted: they stop short of the crossing."""
    beyond = CROSSING_S[0] + CROSSING_S[1] - STOP_LINE_S
    return ((road.start_s, STOP_LINE_S - 1.0), (beyond + 1.0, road.end_s))


def _add_stop_lines(road: Road, tables: MapTables, crossing: str) -> None:
    beyond = CROSSING_S[0] + CROSSING_S[1] - STOP_LINE_S
    for s, sides in ((STOP_LINE_S, (-LANE_WIDTH, 0.0)), (beyond, (0.0, LANE_WIDTH))):
        tables.add(
            "stop_line",
            polygon_token=tables.add_polygon(road.strip(s - 0.2, s + 0.2, *sides)),
            stop_line_type="PED_CROSSING",
            ped_crossing_tokens=[crossing],
            traffic_light_tokens=[],
            road_block_token="",
        )


def _add_lanes(road: Road, tables: MapTables) -> None:
    """One lane per road segment and direction, its centre line as an arc, and which follows which."""
    for name, sides, forward in (("right", (-LANE_WIDTH, 0.0), True), ("left", (0.0, LANE_WIDTH), False)):
        tokens = [tables.token(f"lane/{name}/{i}") for i in range(len(road.segments))]
        for i, segment in enumerate(road.segments):
            start, end = segment.start_s, segment.start_s + segment.length
            ends = [tables.add_line(np.array([road.point(s, d) for d in sides]))[0] for s in (start, end)]
            before, after = tokens[max(i - 1, 0) : i], tokens[i + 1 : i + 2]
            tables.add_lane(
                tokens[i],
                tables.add_polygon(road.strip(start, end, *sides)),
                (ends[0], ends[1]) if forward else (ends[1], ends[0]),
                [_arcline(segment, sum(sides) / 2, forward)],
                (before, after) if forward else (after, before),
            )


def _arcline(segment: RoadSegment, d: float, forward: bool) -> Record:
    """The centre line at offset d of a piece of road."""
    poses = []
    for distance in (0.0, segment.length) if forward else (segment.length, 0.0):
        x, y, heading = segment.pose(distance)
        turned = heading if forward else heading + np.pi
        poses.append((x - d * np.sin(heading), y + d * np.cos(heading), turned))
    curvature = segment.curvature / (1 - segment.curvature * d)
    length = segment.length * (1 - segment.curvature * d)
    return arc_record(poses[0], poses[1], curvature if forward else -curvature, length)


def map_raster(road: Road) -> Image.Image:
    """The drivable area, 255 inside."""
    return drivable_raster([shapely.Polygon(_outline(road))], CANVAS_M)
