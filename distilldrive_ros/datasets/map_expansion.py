"""The nuScenes map expansion (`maps/expansion/<location>.json`): layers as shapely geometries with spatial indices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from distilldrive_ros.datasets.arcline import discretize_arclines
from distilldrive_ros.scene.errors import DatasetError

CENTERLINE_RESOLUTION_M = 1.0

T = TypeVar("T")


class Layer:
    """Geometries of one layer in map coordinates (m), found by place."""

    def __init__(self, geometries: list[BaseGeometry]) -> None:
        """Index them."""
        self._tree = shapely.STRtree(geometries)

    def __len__(self) -> int:
        """Number of geometries."""
        return len(self._tree.geometries)

    def near(self, area: BaseGeometry) -> list[BaseGeometry]:
        """Geometries that meet an area, in the file's order."""
        return list(self._tree.geometries[np.sort(self._tree.query(area, predicate="intersects"))])


@dataclass(frozen=True)
class Lane:
    """A lane or lane connector: outline, centre line in driving direction (map coordinates, m), what follows it."""

    token: str
    is_connector: bool
    polygon: BaseGeometry
    centerline: shapely.LineString
    successors: tuple[str, ...]


@dataclass(frozen=True)
class PaintedDivider:
    """A divider with what the map says of its paint: `segment_types` such as `SINGLE_SOLID_WHITE`; map coordinates."""

    line: shapely.LineString
    separates_directions: bool
    segment_types: tuple[str, ...]


class MapExpansion:
    """One map file. Layers are built when first asked for; a layer that the file lacks is empty."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            DatasetError: missing, not JSON, or not a map expansion.
        """
        self.path = path
        try:
            with path.open("rb") as file:
                self._json: dict[str, Any] = json.load(file)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DatasetError(f"map {path} cannot be read: {error}; copy it again") from error
        if not isinstance(self._json, dict) or "node" not in self._json:
            raise DatasetError(f"map {path} is not a nuScenes map expansion: it has no `node` table")

    def _reading(self, layer: str, build: Callable[[], list[BaseGeometry]]) -> Layer:
        return self._checked(layer, lambda: Layer(build()))

    def _checked(self, layer: str, build: Callable[[], T]) -> T:
        try:
            return build()
        except KeyError as error:
            raise DatasetError(f"map {self.path}, layer {layer}: no entry {error}; copy it again") from error
        except (TypeError, ValueError, ZeroDivisionError, shapely.errors.ShapelyError) as error:
            raise DatasetError(f"map {self.path}, layer {layer}: {error}; copy it again") from error

    @cached_property
    def _nodes(self) -> dict[str, tuple[float, float]]:
        return {n["token"]: (float(n["x"]), float(n["y"])) for n in self._json["node"]}

    @cached_property
    def _line_nodes(self) -> dict[str, list[str]]:
        return {line["token"]: line["node_tokens"] for line in self._json["line"]}

    @cached_property
    def _polygons(self) -> dict[str, dict[str, Any]]:
        return {p["token"]: p for p in self._json["polygon"]}

    @cached_property
    def dividers(self) -> Layer:
        """Lane dividers and road dividers as lines; what both layers hold counts once."""
        return self._reading("lane_divider, road_divider", self._divider_lines)

    @cached_property
    def painted_dividers(self) -> tuple[PaintedDivider, ...]:
        """Lane dividers and road dividers with their paint.

        Raises:
            DatasetError: an entry lacks a field or holds a wrong value.
        """
        return self._checked("lane_divider, road_divider", self._painted_dividers)

    @cached_property
    def walkways(self) -> Layer:
        """Walkways as polygons."""
        return self._reading("walkway", lambda: self._layer_polygons("walkway"))

    @cached_property
    def stop_lines(self) -> Layer:
        """Stop lines as polygons."""
        return self._reading("stop_line", lambda: self._layer_polygons("stop_line"))

    @cached_property
    def crossings(self) -> Layer:
        """Pedestrian crossings as polygons."""
        return self._reading("ped_crossing", lambda: self._layer_polygons("ped_crossing"))

    @cached_property
    def road(self) -> Layer:
        """What the road boundary is the outline of: road segments and lanes.

        In a map without road segments it is the drivable area: lanes alone would leave a hole at every intersection.
        """
        if self._json.get("road_segment"):
            return self._reading(
                "road_segment, lane", lambda: self._layer_polygons("road_segment") + self._layer_polygons("lane")
            )
        return self._reading("drivable_area", lambda: self._layer_polygons("drivable_area"))

    @cached_property
    def centerlines(self) -> Layer:
        """Centre lines of lanes and lane connectors, in driving direction."""
        return self._reading("arcline_path_3", self._centerlines)

    @cached_property
    def drivable_areas(self) -> Layer:
        """Drivable areas as polygons."""
        return self._reading("drivable_area", lambda: self._layer_polygons("drivable_area"))

    @cached_property
    def carparks(self) -> Layer:
        """Car parks as polygons."""
        return self._reading("carpark_area", lambda: self._layer_polygons("carpark_area"))

    @cached_property
    def intersections(self) -> Layer:
        """Road segments that are intersections, as polygons."""
        return self._reading(
            "road_segment", lambda: self._layer_polygons("road_segment", lambda r: bool(r.get("is_intersection")))
        )

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """Lanes, then lane connectors, of those that have a centre line.

        Raises:
            DatasetError: an entry lacks a field or holds a wrong value.
        """
        return self._checked("lane, lane_connector", lambda: (*self._lanes("lane"), *self._lanes("lane_connector")))

    def _divider_lines(self) -> list[BaseGeometry]:
        lines: dict[tuple[tuple[float, float], ...], BaseGeometry] = {}
        for record in self._json.get("lane_divider", []) + self._json.get("road_divider", []):
            points = tuple(self._nodes[t] for t in self._line_nodes[record["line_token"]])
            if len(set(points)) > 1:
                lines.setdefault(min(points, points[::-1]), shapely.LineString(points))
        return list(lines.values())

    def _painted_dividers(self) -> tuple[PaintedDivider, ...]:
        found = []
        for layer in ("lane_divider", "road_divider"):
            for record in self._json.get(layer, []):
                points = [self._nodes[t] for t in self._line_nodes[record["line_token"]]]
                types = tuple(s["segment_type"] for s in record.get(f"{layer}_segments", []))
                if len(set(points)) > 1:
                    found.append(PaintedDivider(shapely.LineString(points), layer == "road_divider", types))
        return tuple(found)

    def _layer_polygons(
        self, layer: str, wanted: Callable[[dict[str, Any]], bool] = lambda record: True
    ) -> list[BaseGeometry]:
        found = []
        for record in filter(wanted, self._json.get(layer, [])):
            tokens = record["polygon_tokens"] if "polygon_tokens" in record else [record["polygon_token"]]
            found += [p for p in (self._polygon(t) for t in tokens) if not p.is_empty]
        return found

    def _lanes(self, layer: str) -> list[Lane]:
        follows, paths = self._json.get("connectivity", {}), self._json.get("arcline_path_3", {})
        found = []
        for record in self._json.get(layer, []):
            token = record["token"]
            points = discretize_arclines(paths.get(token, []), CENTERLINE_RESOLUTION_M)
            if len(points) > 1:
                polygon = self._polygon(record["polygon_token"])
                successors = tuple(follows.get(token, {}).get("outgoing", []))
                found.append(Lane(token, layer == "lane_connector", polygon, shapely.LineString(points), successors))
        return found

    def _polygon(self, token: str) -> BaseGeometry:
        """A valid polygon or multipolygon; empty where the entry has fewer than three corners, as some have."""
        entry = self._polygons[token]
        shell = [self._nodes[t] for t in entry["exterior_node_tokens"]]
        if len(shell) < 3:
            return shapely.Polygon()
        rings = [[self._nodes[t] for t in hole["node_tokens"]] for hole in entry.get("holes", [])]
        polygon = shapely.Polygon(shell, [r for r in rings if len(r) >= 3])
        return polygon if polygon.is_valid else polygon.buffer(0)

    def _centerlines(self) -> list[BaseGeometry]:
        paths = self._json.get("arcline_path_3", {})
        lines = []
        for record in self._json.get("lane", []) + self._json.get("lane_connector", []):
            points = discretize_arclines(paths.get(record["token"], []), CENTERLINE_RESOLUTION_M)
            if len(points) > 1:
                lines.append(shapely.LineString(points))
        return lines


def open_map(dataroot: Path, location: str) -> MapExpansion | None:
    """The map of a place, or None where the root has no map expansion for it.

    Raises:
        DatasetError: the file is there and cannot be read.
    """
    path = dataroot / "maps" / "expansion" / f"{location}.json"
    return MapExpansion(path) if location and path.is_file() else None
