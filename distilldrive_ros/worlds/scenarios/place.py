"""The part of a generated world that stands still, from its road network."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from distilldrive_ros.geometry.trajectories import resample_polyline
from distilldrive_ros.worlds.scenarios.network import LaneLink, Network, NetworkLane, strip
from distilldrive_ros.worlds.world import Divider, LineColor, LinePattern, Place, StopLine, TrafficLight, WorldLane

Array = NDArray[np.float64]

# nuScenes maps count a place where so many roads meet as an intersection.
INTERSECTION_ARMS = 3
STOP_LINE_M = 0.4
LIGHT_HEIGHT_M = 5.2
# Lines are not crossed shortly before a junction with lights, m.
SOLID_BEFORE_LIGHTS_M = 25.0
# Slivers that polygon arithmetic leaves behind, m^2.
SMALLEST_AREA = 0.05
POINT_DISTANCE_M = 1.0


def place_of_network(net: Network, name: str) -> Place:
    """Lanes, dividers, crossings, walkways, stop lines, lights and drivable area; no scenery.

    Args:
        net: the network.
        name: of the map in the nuScenes tables.
    """
    crossings = [lane.outline for lane in net.crossings]
    lanes = _lanes(net)
    junctions = [area for area, _ in net.junctions.values()]
    feet = shapely.union_all([lane.outline for lane in net.sidewalks] + list(net.walking_areas))
    roads = shapely.union_all([lane.polygon for lane in lanes] + [lane.outline for lane in net.lanes.values()])
    drivable = shapely.union_all([roads, shapely.union_all(junctions).difference(feet), *crossings])
    drivable = drivable.buffer(0.05, join_style="mitre").buffer(-0.05, join_style="mitre")
    intersections = [area for area, arms in net.junctions.values() if arms >= INTERSECTION_ARMS]
    return Place(
        name=name,
        drivable=_polygons([drivable]),
        road_segments=(*_road_segments(net), *_polygons(area.intersection(drivable) for area in intersections)),
        intersections=_polygons(area.intersection(drivable) for area in intersections),
        lanes=lanes,
        dividers=tuple(_dividers(net)),
        crossings=_polygons(crossings),
        walkways=_polygons([feet.difference(drivable)]),
        stop_lines=tuple(_stop_lines(net)),
        lights=tuple(_lights(net)),
    )


def light_name(lane: str) -> str:
    """Token of the light that rules a lane: one light per lane that ends at a junction with lights."""
    return f"light {lane}"


def _polygons(areas: Iterable[shapely.Geometry]) -> tuple[shapely.Polygon, ...]:
    parts = [part for area in areas for part in shapely.get_parts(area)]
    return tuple(part for part in parts if isinstance(part, shapely.Polygon) and part.area > SMALLEST_AREA)


def dense(line: Array) -> Array:
    """A line (N, 2) with points about a metre apart, its own ones included."""
    pieces = [line[:1]]
    for first, second in pairwise(line):
        count = max(1, math.ceil(math.dist(first, second) / POINT_DISTANCE_M))
        pieces.append(resample_polyline(np.stack([first, second]), count + 1)[1:])
    return np.concatenate(pieces)


def _lanes(net: Network) -> tuple[WorldLane, ...]:
    before, after = defaultdict(list), defaultdict(list)
    for link in net.links:
        after[link.source].append(link.name)
        before[link.target].append(link.name)
    lanes = [
        WorldLane(
            lane.name, dense(lane.shape), lane.width, lane.speed, False, tuple(after[lane.name]),
            tuple(before[lane.name]), lane.outline,
        )
        for lane in net.lanes.values() if lane.open
    ]  # fmt: skip
    links = [
        WorldLane(
            link.name, dense(link.shape), link.width, link.speed, True, (link.target,), (link.source,),
            strip(link.shape, link.width),
        )
        for link in net.links
    ]  # fmt: skip
    return (*lanes, *links)


def _side(lane: NetworkLane, left: bool) -> Array:
    """The border of a lane (N, 2), in driving direction."""
    offset = lane.width / 2 if left else -lane.width / 2
    line = shapely.offset_curve(shapely.LineString(lane.shape), offset, join_style="round", quad_segs=4)
    return np.asarray(shapely.get_coordinates(line))


def _dividers(net: Network) -> list[Divider]:
    out: list[Divider] = []
    for edge, (source, target) in sorted(net.ends.items()):
        lanes = net.lanes_of(edge)
        if not lanes:
            continue
        lit = any(link.light for lane in lanes for link in net.links_from(lane.name))
        for lane in lanes[:-1]:
            out += _lane_divider(_side(lane, left=True), lit)
        opposite = [e for e, ends in net.ends.items() if ends == (target, source) and net.lanes_of(e)]
        if opposite and source < target:
            solid = LinePattern.DOUBLE_SOLID if len(lanes) > 1 else LinePattern.SOLID
            out.append(Divider(dense(_side(lanes[-1], left=True)), solid, LineColor.YELLOW, True))
    return out


def _lane_divider(line: Array, lit: bool) -> list[Divider]:
    """Dashed, with a solid end before lights."""
    whole = shapely.LineString(line)
    cut = whole.length - SOLID_BEFORE_LIGHTS_M if lit else whole.length
    parts = [(0.0, cut, LinePattern.DASHED), (cut, whole.length, LinePattern.SOLID)]
    return [
        Divider(dense(shapely.get_coordinates(substring(whole, start, end))), pattern, LineColor.WHITE, False)
        for start, end, pattern in parts
        if end - start > 1.0
    ]


def _road_segments(net: Network) -> tuple[shapely.Polygon, ...]:
    """One per road: both directions together."""
    roads = defaultdict(list)
    for lane in net.lanes.values():
        roads[tuple(sorted(net.ends[lane.edge]))].append(lane.outline)
    closed = [shapely.union_all(parts).buffer(0.05).buffer(-0.05) for _, parts in sorted(roads.items())]
    return _polygons(closed)


def _ruled(net: Network) -> list[tuple[NetworkLane, list[LaneLink]]]:
    """Lanes that end where others may have the right of way, with their links."""
    out = []
    for lane in net.lanes.values():
        links = net.links_from(lane.name)
        if any(link.light or link.yields for link in links):
            out.append((lane, links))
    return out


def _end(lane: NetworkLane) -> tuple[Array, Array]:
    """End of a lane and the direction there, both (2,)."""
    step = lane.shape[-1] - lane.shape[-2]
    return lane.shape[-1], step / np.linalg.norm(step)


def _stop_lines(net: Network) -> list[StopLine]:
    out = []
    for lane, links in _ruled(net):
        end, ahead = _end(lane)
        area = strip(np.stack([end - STOP_LINE_M * ahead, end]), lane.width - 0.2)
        out.append(StopLine(area, light_name(lane.name) if any(link.light for link in links) else ""))
    return out


def _lights(net: Network) -> list[TrafficLight]:
    """A light for every lane, on the far side of its junction."""
    out = []
    for lane, links in _ruled(net):
        if not any(link.light for link in links):
            continue
        end, ahead = _end(lane)
        area, _ = net.junctions[net.ends[lane.edge][1]]
        beyond = shapely.LineString([end, end + 80.0 * ahead]).intersection(area)
        far = end + ahead * (beyond.length + 1.0)
        out.append(
            TrafficLight(
                light_name(lane.name),
                np.array([far[0], far[1], LIGHT_HEIGHT_M]),
                math.atan2(-ahead[1], -ahead[0]),
                tuple(link.name for link in links),
            )
        )
    return out
