"""A place as a nuScenes map expansion: every layer that the official map reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.datasets.nuscenes_writer.arclines import fit_arclines
from distilldrive_ros.datasets.nuscenes_writer.map_raster import drivable_raster
from distilldrive_ros.datasets.nuscenes_writer.map_tables import MapTables
from distilldrive_ros.worlds.dataset.map_frame import MapFrame
from distilldrive_ros.worlds.dataset.road_blocks import road_blocks
from distilldrive_ros.worlds.world import Divider, LinePattern, Place, StopLine, TrafficLight, WorldLane

Array = NDArray[np.float64]
Record = dict[str, Any]

# A divider belongs to a lane's side where it runs this near to it, m.
SIDE_REACH_M = 0.4
# A stop line belongs to a crossing that is no farther away, m.
CROSSING_REACH_M = 6.0
LAMP_SPACING_M = 0.35
LIGHT_WIDTH_M = 0.4
LAMPS = ("RED", "YELLOW", "GREEN")


def place_expansion(place: Place, frame: MapFrame, token: Callable[[str], str]) -> Record:
    """Content of `maps/expansion/<location>.json`; `token` makes a token from a name."""
    return _PlaceMap(place, frame, MapTables(token)).document()


def place_raster(place: Place, frame: MapFrame) -> Image.Image:
    """The drivable area, 255 inside, 0.1 m per pixel."""
    return drivable_raster([frame.geometry(area) for area in place.drivable], frame.canvas)


@dataclass
class _Regions:
    """Areas with their tokens, to be asked which one a thing belongs to."""

    areas: list[shapely.Polygon]
    tokens: list[str]

    def nearest(self, geometry: shapely.Geometry) -> str:
        """Token of the area that holds the middle of a geometry, or comes nearest to it; '' where there is none."""
        if not self.areas:
            return ""
        point = geometry.interpolate(0.5, normalized=True) if geometry.geom_type == "LineString" else geometry.centroid
        return self.tokens[int(np.argmin(shapely.distance(self.areas, point)))]

    def within(self, geometry: shapely.Geometry, reach: float) -> list[str]:
        """Tokens of all areas within a distance, m."""
        return [t for t, area in zip(self.tokens, self.areas, strict=True) if area.distance(geometry) <= reach]


class _PlaceMap:
    """Fills the layers one after the other; later ones refer to earlier ones."""

    def __init__(self, place: Place, frame: MapFrame, tables: MapTables) -> None:
        self.place, self.frame, self.tables = place, frame, tables

    def document(self) -> Record:
        """All layers."""
        self.areas = self._regions("drivable_area", self.place.drivable, self._drivable_area)
        self._add_segments()
        self.crossings = self._regions("ped_crossing", self.place.crossings, self._crossing)
        for walkway in self.place.walkways:
            self.tables.add("walkway", polygon_token=self._shape(walkway))
        self._add_blocks()
        self._add_dividers()
        self._add_lanes()
        self._add_lights()
        self._add_stop_lines()
        return self.tables.document(self.frame.canvas)

    def _shape(self, polygon: shapely.Polygon) -> str:
        return self.tables.add_shape(self.frame.geometry(polygon))

    def _regions(
        self, layer: str, areas: Sequence[shapely.Polygon], fields: Callable[[shapely.Polygon], Record]
    ) -> _Regions:
        return _Regions(list(areas), [self.tables.add(layer, **fields(area)) for area in areas])

    def _drivable_area(self, area: shapely.Polygon) -> Record:
        return {"polygon_tokens": [self._shape(area)]}

    def _crossing(self, area: shapely.Polygon) -> Record:
        return {"polygon_token": self._shape(area), "road_segment_token": self.segments.nearest(area)}

    def _add_segments(self) -> None:
        """Blocks of road; junctions that the place lists only as intersections are blocks as well."""
        place = self.place
        crossroads = [*place.intersections]
        plain = [s for s in place.road_segments if not any(s.equals(other) for other in crossroads)]

        def fields(area: shapely.Polygon) -> Record:
            is_intersection = any(area is other for other in crossroads)
            record = {"polygon_token": self._shape(area), "is_intersection": is_intersection}
            return record | {"drivable_area_token": self.areas.nearest(area)}

        self.segments = self._regions("road_segment", [*plain, *crossroads], fields)

    def _add_blocks(self) -> None:
        """Lanes of one road that go the same way."""
        tables, self.block_of_lane = self.tables, {}
        for lanes in road_blocks(self.place):
            area = shapely.union_all([lane.polygon.buffer(0.05) for lane in lanes]).buffer(-0.05)
            largest = max(shapely.get_parts(area), key=lambda part: part.area)
            ends = [np.concatenate([self._across(lane, last) for lane in lanes]) for last in (False, True)]
            edges = [tables.add_line(_outermost(points))[0] for points in ends]
            token = tables.add(
                "road_block", polygon_token=self._shape(largest), from_edge_line_token=edges[0],
                to_edge_line_token=edges[1], road_segment_token=self.segments.nearest(largest),
            )  # fmt: skip
            self.block_of_lane.update({lane.token: token for lane in lanes})

    def _across(self, lane: WorldLane, last: bool) -> Array:
        """The line (2, 2) across a lane's start or end, from left to right, on the map."""
        a, b = lane.centerline[-2:] if last else lane.centerline[:2]
        step = (b - a) / np.linalg.norm(b - a)
        left = np.array([-step[1], step[0]]) * lane.width / 2
        end = b if last else a
        return self.frame.points(np.stack([end + left, end - left]))

    def _add_dividers(self) -> None:
        self.segments_of: list[tuple[Array, list[Record]]] = []
        for divider in self.place.dividers:
            points = self.frame.points(divider.points)
            if divider.separates_directions:
                line, nodes = self.tables.add_line(points)
                segment = self.segments.nearest(shapely.LineString(divider.points))
                self.tables.add("road_divider", line_token=line, road_segment_token=segment)
                pieces = [{"node_token": node, "segment_type": _segment_type(divider)} for node in nodes]
            else:
                pieces = self.tables.add_lane_divider(points, _segment_type(divider))
            self.segments_of.append((divider.points, pieces))

    def _add_lanes(self) -> None:
        known = self.place.lane_by_token
        for lane in self.place.lanes:
            token = self._lane_token(lane.token)
            path = fit_arclines(self.frame.points(lane.centerline))
            near = [
                [self._lane_token(t) for t in names if t in known] for names in (lane.predecessors, lane.successors)
            ]
            if lane.is_connector:
                self.tables.add_connector(token, self._shape(lane.polygon), path, (near[0], near[1]))
            else:
                edges = [self.tables.add_line(self._across(lane, last))[0] for last in (False, True)]
                sides = self._side(lane, 1.0), self._side(lane, -1.0)
                shape = self._shape(lane.polygon)
                self.tables.add_lane(token, shape, (edges[0], edges[1]), path, (near[0], near[1]), sides)

    def _lane_token(self, name: str) -> str:
        return self.tables.token(f"lane/{name}")

    def _side(self, lane: WorldLane, sign: float) -> list[Record]:
        """Divider segments along the left (1) or right (-1) side of a lane."""
        side = shapely.offset_curve(shapely.LineString(lane.centerline), sign * lane.width / 2)
        found: list[Record] = []
        for points, pieces in self.segments_of:
            near = shapely.distance(shapely.points(points), side) <= SIDE_REACH_M
            if near.sum() > 1:
                found += [piece for piece, is_near in zip(pieces, near, strict=True) if is_near]
        return found

    def _add_lights(self) -> None:
        self.light_tokens: dict[str, str] = {}
        known = self.place.lane_by_token
        for light in self.place.lights:
            ruled = [known[t] for t in light.lanes if t in known]
            sources = [t for lane in ruled for t in (lane.predecessors if lane.is_connector else (lane.token,))]
            targets = [t for lane in ruled for t in lane.successors]
            blocks = [sorted({self.block_of_lane[t] for t in names if t in self.block_of_lane})
                      for names in (sources, targets)]  # fmt: skip
            self.light_tokens[light.token] = self.tables.add("traffic_light", **self._light(light, *blocks))

    def _light(self, light: TrafficLight, from_blocks: list[str], to_blocks: list[str]) -> Record:
        x, y = self.frame.points(light.position[:2])
        aside = np.array([-np.sin(light.yaw), np.cos(light.yaw)]) * LIGHT_WIDTH_M / 2
        line, _ = self.tables.add_line(np.array([[x, y] - aside, [x, y] + aside]))
        still = {"rx": 0.0, "ry": 0.0, "rz": 0.0}
        items = [
            {
                "color": color,
                "shape": "CIRCLE",
                "rel_pos": {"tx": 0.0, "ty": 0.0, "tz": round((1 - index) * LAMP_SPACING_M, 6), **still},
                "to_road_block_tokens": to_blocks,
            }
            for index, color in enumerate(LAMPS)
        ]
        place = {"tx": float(x), "ty": float(y), "tz": float(light.position[2]), **still, "rz": float(light.yaw)}
        return {
            "line_token": line,
            "traffic_light_type": "VERTICAL",
            "from_road_block_token": from_blocks[0] if from_blocks else "",
            "items": items,
            "pose": place,
        }

    def _add_stop_lines(self) -> None:
        for line in self.place.stop_lines:
            crossings = self.crossings.within(line.polygon, CROSSING_REACH_M)
            lights = [self.light_tokens[line.light]] if line.light in self.light_tokens else []
            self.tables.add(
                "stop_line",
                polygon_token=self._shape(line.polygon),
                stop_line_type="TRAFFIC_LIGHT" if lights else "PED_CROSSING" if crossings else "YIELD",
                ped_crossing_tokens=crossings,
                traffic_light_tokens=lights,
                road_block_token=self._block_at(line),
            )

    def _block_at(self, line: StopLine) -> str:
        """The road block whose lane ends at a stop line."""
        lanes = [lane for lane in self.place.lanes if lane.token in self.block_of_lane]
        if not lanes:
            return ""
        ends = shapely.points(np.array([lane.centerline[-1] for lane in lanes]))
        return self.block_of_lane[lanes[int(np.argmin(shapely.distance(ends, line.polygon)))].token]


def _outermost(points: Array) -> Array:
    """The two of some points (N, 2) that lie farthest apart, in their order."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    first, second = np.unravel_index(int(gaps.argmax()), gaps.shape)
    return points[sorted((int(first), int(second)))]


def _segment_type(divider: Divider) -> str:
    """nuScenes' name of a kind of paint."""
    color = divider.color.value.upper()
    return {
        LinePattern.NONE: "NIL",
        LinePattern.SOLID: f"SINGLE_SOLID_{color}",
        LinePattern.DASHED: f"SINGLE_DASHED_{color}",
        LinePattern.DOUBLE_SOLID: f"DOUBLE_SOLID_{color}",
    }[divider.pattern]
