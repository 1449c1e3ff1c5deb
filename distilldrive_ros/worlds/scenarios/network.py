"""A computed SUMO network as lanes with centre lines: what place and route are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax import SAXException

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.sumo import REMEDY

Array = NDArray[np.float64]

VEHICLES = "passenger"
PEDESTRIANS = "pedestrian"
# Points of a centre line that lie closer together say nothing of its direction, m.
SHORTEST_STEP_M = 0.02


@dataclass(frozen=True)
class NetworkLane:
    """A lane of SUMO: `shape` (N, 2) m; `edge` and `index` as SUMO counts; `open` to vehicles."""

    name: str
    edge: str
    index: int
    shape: Array
    width: float
    speed: float
    open: bool

    @property
    def outline(self) -> shapely.Polygon:
        """The strip that it covers."""
        return strip(self.shape, self.width)


@dataclass(frozen=True)
class LaneLink:
    """The way from a lane over a junction to another lane.

    `name` is the first of SUMO's lanes on it and `shape` (N, 2) m runs over all of them. `direction`: SUMO's letter
    (s, l, r, L, R, t). `light` and `signal`: which traffic light rules it, and where in its state; empty and -1: none.
    `yields`: others may have the right of way.
    """

    name: str
    source: str
    target: str
    shape: Array
    width: float
    speed: float
    direction: str
    light: str
    signal: int
    yields: bool


class Network:
    """Lanes for vehicles, the links between them, and the areas for people on foot."""

    def __init__(self, path: Path) -> None:
        """Read what netconvert wrote.

        Raises:
            WorldError: sumolib is missing or the file cannot be read.
        """
        try:
            from sumolib.net import readNet
        except ImportError as error:
            raise WorldError(f"the package sumolib is missing; {REMEDY}") from error
        try:
            net = readNet(str(path), withInternal=True, withPedestrianConnections=True)
        except (OSError, ValueError, KeyError, SAXException) as error:
            raise WorldError(f"network {path} cannot be read: {error}; make it again") from error
        self._net = net
        edges = net.getEdges(withInternal=True)
        self.lanes = {
            lane.name: lane
            for edge in edges
            if edge.getFunction() == ""
            for lane in map(_lane, edge.getLanes())
            if not _for_pedestrians(edge.getLane(lane.index))
        }
        self.links = tuple(link for edge in edges if edge.getFunction() == "" for link in self._links_of(edge))
        self.sidewalks = tuple(
            _lane(lane)
            for edge in edges
            if edge.getFunction() == ""
            for lane in edge.getLanes()
            if _for_pedestrians(lane)
        )
        self.crossings = tuple(_lane(edge.getLane(0)) for edge in edges if edge.getFunction() == "crossing")
        self.walking_areas = tuple(
            _polygon(edge.getLane(0).getShape()) for edge in edges if edge.getFunction() == "walkingarea"
        )
        self.ends = {edge.getID(): (edge.getFromNode().getID(), edge.getToNode().getID())
                     for edge in edges if edge.getFunction() == ""}  # fmt: skip
        self.junctions = {
            node.getID(): (_polygon(node.getShape()), len(_neighbours(node)))
            for node in net.getNodes()
            if len(node.getShape()) > 2 and node.getType() not in ("dead_end", "internal")
        }

    def lanes_of(self, edge: str) -> list[NetworkLane]:
        """Lanes for vehicles of an edge, from the right."""
        return sorted((lane for lane in self.lanes.values() if lane.edge == edge), key=lambda lane: lane.index)

    def links_from(self, lane: str) -> list[LaneLink]:
        """Links that begin at a lane."""
        return [link for link in self.links if link.source == lane]

    def _links_of(self, edge: Any) -> list[LaneLink]:
        out = []
        for connections in edge.getOutgoing().values():
            for connection in connections:
                source, target = connection.getFromLane(), connection.getToLane()
                if source.getID() not in self.lanes or not (_open(source) and _open(target)):
                    continue
                via, pieces = connection.getViaLaneID(), []
                while via:
                    lane = self._net.getLane(via)
                    pieces.append(lane)
                    onward = [c.getViaLaneID() for c in lane.getOutgoing() if c.getTo() == target.getEdge()]
                    via = onward[0] if onward else ""
                ends = [np.array([source.getShape()[-1]]), np.array([target.getShape()[0]])]
                middle = [np.asarray(piece.getShape(), np.float64) for piece in pieces]
                out.append(
                    LaneLink(
                        name=pieces[0].getID() if pieces else f"{source.getID()}-{target.getID()}",
                        source=source.getID(),
                        target=target.getID(),
                        shape=tidy(np.concatenate([ends[0], *middle, ends[1]])),
                        width=float(min(source.getWidth(), target.getWidth())),
                        speed=float(pieces[0].getSpeed() if pieces else source.getSpeed()),
                        direction=connection.getDirection(),
                        light=connection.getTLSID() or "",
                        signal=connection.getTLLinkIndex(),
                        yields=connection.getState() in ("m", "s", "w", "=", "Z"),
                    )
                )
        return out


def tidy(points: Array) -> Array:
    """Points (N, 2) without repetitions; where all fall together, the first and the last."""
    keep = [0]
    for index in range(1, len(points)):
        if math.dist(points[index], points[keep[-1]]) > SHORTEST_STEP_M:
            keep.append(index)
    return np.asarray(points[keep] if len(keep) > 1 else points[[0, -1]], np.float64)


def strip(line: Array, width: float) -> shapely.Polygon:
    """The area within half a width of a line (N, 2), cut off square at its ends."""
    area = shapely.LineString(line).buffer(width / 2, cap_style="flat", join_style="round", quad_segs=4)
    if isinstance(area, shapely.MultiPolygon):
        area = max(area.geoms, key=lambda part: part.area)
    return area


def _polygon(shape: list[tuple[float, float]]) -> shapely.Polygon:
    area = shapely.Polygon(shape) if len(shape) > 2 else shapely.Polygon()
    if not area.is_valid:
        parts = [part for part in shapely.get_parts(shapely.make_valid(area)) if isinstance(part, shapely.Polygon)]
        area = max(parts, key=lambda part: part.area) if parts else shapely.Polygon()
    return area


def _for_pedestrians(lane: Any) -> bool:
    return bool(lane.allows(PEDESTRIANS) and not lane.allows(VEHICLES))


def _open(lane: Any) -> bool:
    return bool(lane.allows(VEHICLES))


def _lane(lane: Any) -> NetworkLane:
    shape = tidy(np.asarray(lane.getShape(), np.float64)[:, :2])
    edge = lane.getEdge().getID()
    return NetworkLane(
        lane.getID(), edge, lane.getIndex(), shape, float(lane.getWidth()), float(lane.getSpeed()), _open(lane)
    )


def _neighbours(node: Any) -> set[str]:
    """Names of the nodes that roads lead to."""
    around = {edge.getFromNode().getID() for edge in node.getIncoming()}
    around |= {edge.getToNode().getID() for edge in node.getOutgoing()}
    return around - {node.getID()}
