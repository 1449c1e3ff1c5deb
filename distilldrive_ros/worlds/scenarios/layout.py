"""The roads of each kind of scene, and the ego's way over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.scenarios.roads import Connection, Crossing, Edge, Node, Point, RoadNetwork
from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind

# Middle of every place: far enough from the origin that coordinates stay positive, as in nuScenes maps.
CENTER: Point = (600.0, 600.0)
SIDEWALK_M = 2.5
# The ego may start this far behind the beginning of its first edge: there is traffic behind it, too.
START_M = 45.0


@dataclass(frozen=True)
class Layout:
    """Roads with the ego's way: `edges` in driving order, `start` m along the first one.

    `works`: edge on which the rightmost lane is a building site.
    """

    network: RoadNetwork
    edges: tuple[str, ...]
    start: float
    works: str = ""


def lay_out(scenario: Scenario) -> Layout:
    """Roads for a scenario."""
    rng = np.random.default_rng((scenario.seed, 0x1A70))
    return _MAKERS[scenario.kind](scenario, rng)


def _reach(scenario: Scenario) -> float:
    """How far the ego may get, with room to see ahead at the end, m."""
    return scenario.speed_limit * min(scenario.duration_s, 60.0) + 120.0


def _approach(scenario: Scenario, rng: np.random.Generator) -> float:
    """How far before a junction the ego starts: far enough to stop for it gently, m."""
    return 28.0 + scenario.speed_limit**2 / 5.0 + float(rng.uniform(0.0, 15.0))


def _place(heading: float, ahead: float, left: float = 0.0) -> Point:
    """A point seen from the middle of the place."""
    c, s = math.cos(heading), math.sin(heading)
    return (CENTER[0] + ahead * c - left * s, CENTER[1] + ahead * s + left * c)


def _both_ways(a: str, b: str, scenario: Scenario, lanes: int, shape: tuple[Point, ...] = (), priority: int = 1,
               lane_width: float = 3.5) -> tuple[Edge, Edge]:  # fmt: skip
    """A street with sidewalks."""

    def edge(source: str, target: str, points: tuple[Point, ...]) -> Edge:
        return Edge(
            f"{source}{target}", source, target, lanes, scenario.speed_limit, lane_width, points, SIDEWALK_M, priority
        )

    return edge(a, b, shape), edge(b, a, shape[::-1])


def _street(scenario: Scenario, rng: np.random.Generator, lane_width: float = 3.5) -> Layout:
    """One straight street."""
    heading = float(rng.uniform(-math.pi, math.pi))
    half = _reach(scenario) / 2
    nodes = (Node("a", _place(heading, -half)), Node("b", _place(heading, half)))
    edges = _both_ways("a", "b", scenario, scenario.lanes, lane_width=lane_width)
    return Layout(RoadNetwork(nodes, edges), ("ab",), START_M)


def _crossed_street(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A straight street with a pedestrian crossing in its middle."""
    heading = float(rng.uniform(-math.pi, math.pi))
    half = _reach(scenario) / 2
    nodes = (Node("a", _place(heading, -half)), Node("b", CENTER, radius=1.0), Node("c", _place(heading, half)))
    edges = (*_both_ways("a", "b", scenario, scenario.lanes), *_both_ways("b", "c", scenario, scenario.lanes))
    start = max(START_M, half - _approach(scenario, rng) - 10.0)
    return Layout(RoadNetwork(nodes, edges, crossings=(Crossing("b", ("ab", "ba")),)), ("ab", "bc"), start)


def _curved(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A street of two opposite arcs with straight ends."""
    lateral = 1.8
    radius = max(40.0, scenario.speed_limit**2 / lateral) * float(rng.uniform(1.0, 1.8))
    side = 1.0 if rng.random() < 0.5 else -1.0
    bends = [side * float(rng.uniform(0.6, 1.2)), -side * float(rng.uniform(0.6, 1.2))]
    pieces = [(60.0, 0.0), (radius * abs(bends[0]), bends[0]), (radius * abs(bends[1]), bends[1])]
    pieces.append((max(80.0, _reach(scenario) - sum(length for length, _ in pieces)), 0.0))
    x, y, heading = CENTER[0], CENTER[1], float(rng.uniform(-math.pi, math.pi))
    points = [(x, y)]
    for length, bend in pieces:
        count = max(1, math.ceil(length / 4.0)) if bend else 1
        for _ in range(count):
            heading += bend / count / 2
            x, y = x + length / count * math.cos(heading), y + length / count * math.sin(heading)
            heading += bend / count / 2
            points.append((x, y))
    middle = np.mean(points, axis=0) - CENTER
    moved = tuple((float(px - middle[0]), float(py - middle[1])) for px, py in points)
    nodes = (Node("a", moved[0]), Node("b", moved[-1]))
    return Layout(RoadNetwork(nodes, _both_ways("a", "b", scenario, scenario.lanes, moved[1:-1])), ("ab",), START_M)


_TURN_ANGLE = {Command.LEFT: math.pi / 2, Command.STRAIGHT: 0.0, Command.RIGHT: -math.pi / 2}


def _cross_roads(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """Four arms; with lights, or with a street that has priority."""
    lights = scenario.kind == ScenarioKind.FOUR_WAY_LIGHTS
    heading = float(rng.uniform(-math.pi, math.pi))
    skew = float(rng.uniform(-0.2, 0.2))
    reach = _reach(scenario)
    # Names of arms by where they lie as the ego comes: s(outh) is its own, n ahead.
    angles = {
        "s": heading + math.pi,
        "n": heading,
        "w": heading + math.pi / 2 + skew,
        "e": heading - math.pi / 2 + skew,
    }
    nodes = [Node("c", CENTER, "traffic_light" if lights else "priority", float(rng.uniform(6.0, 9.0)))]
    nodes += [Node(name, _place(angle, max(170.0, 0.7 * reach))) for name, angle in angles.items()]
    ego_has_priority = bool(rng.random() < 0.6)
    edges: list[Edge] = []
    for name in angles:
        main = (name in "sn") == ego_has_priority
        edges += _both_ways(name, "c", scenario, scenario.lanes, priority=3 if lights or main else 1)
    # Without lights people cross the street that waits.
    crossed = [name for name in angles if lights or (name in "sn") != ego_has_priority]
    crossings = tuple(Crossing("c", (f"{name}c", f"c{name}")) for name in crossed)
    target = {Command.LEFT: "w", Command.RIGHT: "e", Command.STRAIGHT: "n"}[scenario.turn]
    length = max(170.0, 0.7 * reach)
    start = length - _approach(scenario, rng)
    return Layout(RoadNetwork(tuple(nodes), tuple(edges), crossings=crossings), ("sc", f"c{target}"), start)


def _t_junction(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A side street that ends at a street with priority."""
    heading = float(rng.uniform(-math.pi, math.pi))
    length = max(170.0, 0.7 * _reach(scenario))
    # The ego turns out of the side street, or drives along the main one past it.
    from_side = scenario.turn != Command.STRAIGHT
    side_at = math.pi if from_side else (math.pi / 2 if rng.random() < 0.5 else -math.pi / 2)
    bar = (math.pi / 2, -math.pi / 2) if from_side else (math.pi, 0.0)
    angles = {"p": heading + bar[0], "q": heading + bar[1], "t": heading + side_at + float(rng.uniform(-0.15, 0.15))}
    nodes = [Node("c", CENTER, "priority", float(rng.uniform(6.0, 9.0)))]
    nodes += [Node(name, _place(angle, length)) for name, angle in angles.items()]
    edges: list[Edge] = []
    for name in angles:
        edges += _both_ways(name, "c", scenario, 1 if name == "t" else scenario.lanes, priority=1 if name == "t" else 3)
    start = length - _approach(scenario, rng)
    way = ("pc", "cq") if not from_side else ("tc", "cp" if scenario.turn == Command.LEFT else "cq")
    crossings = (Crossing("c", ("tc", "ct")),)
    return Layout(RoadNetwork(tuple(nodes), tuple(edges), crossings=crossings), way, start)


def _roundabout(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A ring of one lane with four arms."""
    heading = float(rng.uniform(-math.pi, math.pi))
    radius = float(rng.uniform(18.0, 24.0))
    length = max(150.0, 0.7 * _reach(scenario))
    # Counter-clockwise, the ego's own arm first.
    arms = [heading + math.pi + k * math.pi / 2 for k in range(4)]
    nodes: list[Node] = []
    edges: list[Edge] = []
    ring: list[Edge] = []
    for k, angle in enumerate(arms):
        nodes.append(Node(f"r{k}", _place(angle, radius), "priority", 6.0))
        nodes.append(Node(f"o{k}", _place(angle, length)))
        edges += _both_ways(f"o{k}", f"r{k}", scenario, 1)
        between = tuple(_place(angle + step, radius) for step in np.linspace(0, math.pi / 2, 10)[1:-1])
        source, target = f"r{k}", f"r{(k + 1) % 4}"
        ring.append(Edge(f"{source}{target}", source, target, 1, min(scenario.speed_limit, 7.0), 4.2, between,
                         priority=4, alone=True))  # fmt: skip
    exits = {Command.RIGHT: 1, Command.STRAIGHT: 2, Command.LEFT: 3}[scenario.turn]
    way = ("o0r0", *(f"r{k}r{k + 1}" for k in range(exits)), f"r{exits}o{exits}")
    rings = ((tuple(f"r{k}" for k in range(4)), tuple(edge.name for edge in ring)),)
    start = length - radius - _approach(scenario, rng)
    return Layout(RoadNetwork(tuple(nodes), (*edges, *ring), roundabouts=rings), way, start)


def _merge(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A motorway with a slip road; the ego drives on the motorway's right lane."""
    heading = float(rng.uniform(-math.pi, math.pi))
    lanes, lane_length, median = scenario.lanes, 180.0, 14.0
    before, after = 220.0, _reach(scenario)
    fast, slip = scenario.speed_limit, max(12.0, 0.7 * scenario.speed_limit)

    def at(name: str, ahead: float, left: float = 0.0) -> Node:
        return Node(name, _place(heading, ahead - after / 4, left), radius=3.0)

    right = -(lanes * 3.6 + 26.0)
    nodes = (
        at("a", -before), at("b", 0.0), at("c", lane_length), at("d", after), at("r", -150.0, right),
        at("x", after, median + lanes * 3.6), at("y", -before, median + lanes * 3.6),
    )  # fmt: skip
    bend = tuple(_place(heading, s - after / 4, right * w) for s, w in ((-110.0, 0.8), (-60.0, 0.4), (-25.0, 0.24)))

    edges = (
        *(Edge(f"{a}{b}", a, b, lanes, fast, 3.6, priority=5) for a, b in ("ab", "cd", "xy")),
        Edge("bc", "b", "c", lanes + 1, fast, 3.6, priority=5),
        Edge("rb", "r", "b", 1, slip, 3.6, bend, priority=2, alone=True),
    )
    connections = (
        Connection("rb", "bc", 0, 0),
        *(Connection("ab", "bc", lane, lane + 1) for lane in range(lanes)),
        *(Connection("bc", "cd", lane + 1, lane) for lane in range(lanes)),
    )
    return Layout(RoadNetwork(nodes, edges, connections), ("ab", "bc", "cd"), before - 90.0)


def _works(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A street whose right lane is closed for a while."""
    heading = float(rng.uniform(-math.pi, math.pi))
    before, closed = START_M + float(rng.uniform(85.0, 110.0)), float(rng.uniform(35.0, 60.0))
    total = _reach(scenario)
    spots = {"a": 0.0, "b": before, "c": before + closed, "d": total}
    nodes = tuple(Node(name, _place(heading, s - total / 2), radius=2.0) for name, s in spots.items())
    edges: list[Edge] = []
    for a, b in ("ab", "bc", "cd"):
        there, back = _both_ways(a, b, scenario, scenario.lanes)
        if a == "b":
            there = replace(there, closed=(0,))
        edges += [there, back]
    return Layout(RoadNetwork(nodes, tuple(edges)), ("ab", "bc", "cd"), START_M - 15.0, works="bc")


_MAKERS: dict[ScenarioKind, Callable[[Scenario, np.random.Generator], Layout]] = {
    ScenarioKind.STRAIGHT: _street,
    ScenarioKind.CURVED: _curved,
    ScenarioKind.FOUR_WAY_LIGHTS: _cross_roads,
    ScenarioKind.FOUR_WAY_PRIORITY: _cross_roads,
    ScenarioKind.T_JUNCTION: _t_junction,
    ScenarioKind.ROUNDABOUT: _roundabout,
    ScenarioKind.MERGE: _merge,
    ScenarioKind.PARKED_CARS: lambda scenario, rng: _street(scenario, rng, 3.6),
    ScenarioKind.CROSSING: _crossed_street,
    ScenarioKind.CUT_IN: _street,
    ScenarioKind.HARD_BRAKING: _street,
    ScenarioKind.CONSTRUCTION: _works,
    ScenarioKind.EMPTY: _street,
}
