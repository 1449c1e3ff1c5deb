"""A nuScenes map expansion (schema version 1.3) under construction: geometry tables and layers that refer to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Array = NDArray[np.float64]
Record = dict[str, Any]

VERSION = "1.3"
GEOMETRY = ("polygon", "line", "node")
LAYERS = (
    "drivable_area", "road_segment", "road_block", "lane", "lane_connector", "ped_crossing", "walkway", "stop_line",
    "carpark_area", "road_divider", "lane_divider", "traffic_light",
)  # fmt: skip


@dataclass
class MapTables:
    """Layers as lists of records. `token` makes a token from a name that is unique in the map."""

    token: Callable[[str], str]
    layers: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in (*GEOMETRY, *LAYERS)})
    arclines: dict[str, list[Record]] = field(default_factory=dict)
    connectivity: dict[str, Record] = field(default_factory=dict)

    def add(self, layer: str, **fields: Any) -> str:
        """Append a record to a layer; returns its token."""
        records = self.layers[layer]
        token = self.token(f"{layer}/{len(records)}")
        records.append({"token": token, **fields})
        return token

    def add_line(self, points: Array) -> tuple[str, list[str]]:
        """A line through points (N, 2) m; returns its token and those of its nodes."""
        nodes = self._add_nodes(points)
        return self.add("line", node_tokens=nodes), nodes

    def add_polygon(self, shell: Array, holes: Sequence[Array] = ()) -> str:
        """A polygon with corners (N, 2) m, the first not repeated; returns its token."""
        exterior = self._add_nodes(shell)
        return self.add(
            "polygon", exterior_node_tokens=exterior, holes=[{"node_tokens": self._add_nodes(h)} for h in holes]
        )

    def add_shape(self, polygon: shapely.Polygon) -> str:
        """A polygon with its holes; returns its token."""
        rings = [shapely.get_coordinates(ring)[:-1] for ring in (polygon.exterior, *polygon.interiors)]
        return self.add_polygon(rings[0], rings[1:])

    def add_lane(
        self,
        token: str,
        polygon: str,
        edges: tuple[str, str],
        path: list[Record],
        neighbours: tuple[Sequence[str], Sequence[str]],
        sides: tuple[list[Record], list[Record]] = ([], []),
    ) -> None:
        """A lane: its outline, the lines across its start and end, centre line, what leads in and out of it.

        `sides`: its left and right divider as segments (see `add_lane_divider`).
        """
        record: Record = {"token": token, "polygon_token": polygon, "lane_type": "CAR"}
        record |= {"from_edge_line_token": edges[0], "to_edge_line_token": edges[1]}
        record |= {"left_lane_divider_segments": list(sides[0]), "right_lane_divider_segments": list(sides[1])}
        self.layers["lane"].append(record)
        self._connect(token, path, neighbours)

    def add_connector(
        self, token: str, polygon: str, path: list[Record], neighbours: tuple[Sequence[str], Sequence[str]]
    ) -> None:
        """A lane connector."""
        self.layers["lane_connector"].append({"token": token, "polygon_token": polygon})
        self._connect(token, path, neighbours)

    def add_lane_divider(self, points: Array, segment_type: str) -> list[Record]:
        """A line between lanes, painted in one way; returns its segments, one per node."""
        line, nodes = self.add_line(points)
        segments = [{"node_token": node, "segment_type": segment_type} for node in nodes]
        self.add("lane_divider", line_token=line, lane_divider_segments=segments)
        return segments

    def document(self, canvas_m: tuple[float, float]) -> Record:
        """Content of `maps/expansion/<location>.json`; the canvas is (width, height) of the map, m."""
        return {
            "version": VERSION,
            "canvas_edge": list(canvas_m),
            **self.layers,
            "arcline_path_3": self.arclines,
            "connectivity": self.connectivity,
        }

    def _add_nodes(self, points: Array) -> list[str]:
        return [self.add("node", x=round(float(x), 6), y=round(float(y), 6)) for x, y in points]

    def _connect(self, token: str, path: list[Record], neighbours: tuple[Sequence[str], Sequence[str]]) -> None:
        self.arclines[token] = path
        self.connectivity[token] = {"incoming": list(neighbours[0]), "outgoing": list(neighbours[1])}
