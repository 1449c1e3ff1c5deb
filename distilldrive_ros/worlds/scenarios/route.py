"""The ego's way over the lanes of a network, with the centre line that it shall follow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.scenarios.network import LaneLink, Network, NetworkLane, tidy
from distilldrive_ros.worlds.scenarios.place import dense
from distilldrive_ros.worlds.session import Route

Array = NDArray[np.float64]

# A lane change takes so long at the lane's speed, s, and is over so far before the lane ends, m.
LANE_CHANGE_S = 4.0
LANE_CHANGE_END_M = 34.0
# A connector that bends less than this leads straight on, rad.
STRAIGHT_ANGLE = math.radians(25.0)


def find_route(net: Network, edges: Sequence[str], lane: int, start: float, turn: Command) -> Route:
    """Route over edges, from a place on a lane of the first one.

    The centre line begins `start` m along the lane. Where the lane does not lead on, the route changes to the nearest
    lane that does.

    Args:
        net: the network.
        edges: names in driving order.
        lane: number of the first edge's lane, from the right.
        start: m along the first lane.
        turn: what a bending connector is called on a roundabout, where every one bends.

    Raises:
        WorldError: an edge does not lead to the next one.
    """
    lanes = net.lanes_of(edges[0])
    if not 0 <= lane < len(lanes):
        raise WorldError(f"edge {edges[0]} has {len(lanes)} lane(s), no number {lane}; choose another")
    present, tokens = lanes[lane], []
    pieces: list[Array] = []
    links: list[tuple[int, LaneLink]] = []
    for onward in (*edges[1:], None):
        tokens.append(present.name)
        if onward is None:
            pieces.append(dense(present.shape))
            break
        link = _way_on(net, present, onward)
        if link.source != present.name:
            tokens.append(link.source)
            pieces.append(_lane_change(present, net.lanes[link.source]))
        else:
            pieces.append(dense(present.shape))
        links.append((len(pieces), link))
        pieces.append(dense(link.shape))
        tokens.append(link.name)
        present = net.lanes[link.target]
    line = shapely.LineString(tidy(np.concatenate(pieces)))
    ring = len(edges) > 3
    turns = _turns(line, pieces, links, start, turn, ring)
    rest = substring(line, start, line.length)
    return Route(tuple(tokens), shapely.get_coordinates(rest), turns)


def _way_on(net: Network, lane: NetworkLane, edge: str) -> LaneLink:
    """The link to the next edge, from the lane itself or the nearest one beside it."""
    beside = sorted(net.lanes_of(lane.edge), key=lambda other: (abs(other.index - lane.index), other.index))
    for other in beside:
        links = [link for link in net.links_from(other.name) if net.lanes[link.target].edge == edge]
        if links:
            # Of several, the one that keeps its place among the lanes.
            return min(links, key=lambda link: abs(net.lanes[link.target].index - other.index))
    raise WorldError(f"no lane leads from edge {lane.edge} to {edge}; choose another seed or turn")


def _lane_change(source: NetworkLane, target: NetworkLane) -> Array:
    """From the beginning of one lane to the end of the one beside it, smoothly (N, 2)."""
    first, second = dense(source.shape), shapely.LineString(target.shape)
    feet = shapely.get_coordinates(
        shapely.line_interpolate_point(second, shapely.line_locate_point(second, shapely.points(first)))
    )
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(first, axis=0), axis=1)))
    length = min(source.speed * LANE_CHANGE_S, 0.7 * along[-1])
    begin = max(0.0, along[-1] - LANE_CHANGE_END_M - length)
    share = np.clip((along - begin) / length, 0.0, 1.0)
    weight = share**3 * (10 - 15 * share + 6 * share**2)
    return np.asarray(first + weight[:, None] * (feet - first))


def _turns(
    line: shapely.LineString,
    pieces: list[Array],
    links: list[tuple[int, LaneLink]],
    start: float,
    turn: Command,
    ring: bool,
) -> tuple[tuple[float, float, Command], ...]:
    """Where the route turns, measured from `start`; on a ring all of it is one manoeuvre."""
    ends = np.cumsum([shapely.LineString(piece).length for piece in pieces])
    spans = [(ends[index - 1] if index else 0.0, ends[index], link) for index, link in links]
    scale = line.length / ends[-1]
    if ring:
        if turn == Command.STRAIGHT:
            return ()
        return ((max(0.0, spans[0][0] * scale - start), spans[-1][1] * scale - start, turn),)
    out = []
    for begin, end, link in spans:
        steps = np.diff(link.shape, axis=0)
        angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
        bend = angles[-1] - angles[0]
        if abs(bend) > STRAIGHT_ANGLE and end * scale > start:
            command = Command.LEFT if bend > 0 else Command.RIGHT
            out.append((max(0.0, begin * scale - start), end * scale - start, command))
    return tuple(out)
