"""Who sets out when, and where to."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.scenarios.layout import Layout
from distilldrive_ros.worlds.scenarios.roads import Edge
from distilldrive_ros.worlds.scenarios.scenario import Scenario, ScenarioKind
from distilldrive_ros.worlds.traffic.crossing_trips import sidewalk_trips
from distilldrive_ros.worlds.traffic.road_users import PEDESTRIANS, STREET_ONLY, VEHICLES, RoadUser, type_elements

# Traffic has so long to spread before the ego appears, s.
WARM_UP_S = 60.0
# Vehicles per second and lane where traffic is densest.
DENSEST_FLOW = 0.16
# People on foot per sidewalk where there are most, and how many of them mean to cross a street if they can.
PEDESTRIANS_PER_SIDEWALK = 8.0
CROSSING_SHARE = 0.5


def write_demand(scenario: Scenario, layout: Layout, ego_size: tuple[float, float], path: Path) -> None:
    """Write vehicle types, trips and walks as a route file of SUMO.

    Args:
        scenario: how much traffic there is; its seed.
        layout: the roads.
        ego_size: length and width of the ego, m.
        path: the file.

    Raises:
        WorldError: it cannot be written.
    """
    rng = np.random.default_rng((scenario.seed, 0xDE3A4D))
    trips = sorted([*_vehicles(scenario, layout, rng), *_walks(scenario, layout, rng)], key=_departure)
    top = ET.Element("routes")
    top.extend([*type_elements(*ego_size), *trips])
    try:
        ET.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise WorldError(f"{path} could not be written: {error}; make room or check TMPDIR") from error


def choose(users: tuple[RoadUser, ...], rng: np.random.Generator) -> RoadUser:
    """One of several kinds, by their shares."""
    shares = np.array([user.share for user in users])
    return users[int(rng.choice(len(users), p=shares / shares.sum()))]


def _departure(element: ET.Element) -> float:
    return float(element.get("depart", "0"))


def _vehicles(scenario: Scenario, layout: Layout, rng: np.random.Generator) -> list[ET.Element]:
    """Trips from every end of a road to every other that roads lead to."""
    if not scenario.density:
        return []
    network = layout.network
    sources = {edge.source for edge in network.edges}
    targets = {edge.target for edge in network.edges}
    ends = {node.name for node in network.nodes if _degree(node.name, network.edges) == 1}
    starts = [edge for edge in network.edges if edge.source in ends or edge.source not in targets]
    finals = [edge for edge in network.edges if edge.target in ends or edge.target not in sources]
    excluded = STREET_ONLY if scenario.kind == ScenarioKind.MERGE else set()
    kinds = tuple(kind for kind in VEHICLES if kind.name not in excluded)
    out: list[ET.Element] = []
    for start in starts:
        goals = [goal for goal in finals if goal.target != start.source and _leads(start, goal, network.edges)]
        if not goals:
            continue
        rate = DENSEST_FLOW * scenario.density * start.lanes * float(rng.uniform(0.6, 1.2))
        time = float(rng.exponential(1 / rate))
        while time < WARM_UP_S + scenario.duration_s:
            goal = goals[int(rng.integers(len(goals)))]
            attributes = {
                "id": f"v{start.name}.{len(out)}", "type": choose(kinds, rng).name, "depart": f"{time:.1f}",
                "from": start.name, "to": goal.name, "departLane": "best", "departSpeed": "max",
            }  # fmt: skip
            out.append(ET.Element("trip", attributes))
            time += float(rng.exponential(1 / rate))
    return out


def _walks(scenario: Scenario, layout: Layout, rng: np.random.Generator) -> list[ET.Element]:
    """People on the sidewalks; where there is a crossing, many mean to cross."""
    paved = [edge.name for edge in layout.network.edges if edge.sidewalk]
    if not scenario.pedestrians or not paved:
        return []
    ways = sidewalk_trips(layout.network)
    count = round(scenario.pedestrians * PEDESTRIANS_PER_SIDEWALK * len(paved))
    out = []
    for number in range(count):
        crossing = ways and rng.random() < CROSSING_SHARE
        start, goal = ways[int(rng.integers(len(ways)))] if crossing else (paved[int(rng.integers(len(paved)))],) * 2
        depart = float(rng.uniform(0.0, WARM_UP_S + scenario.duration_s))
        person = ET.Element(
            "person", id=f"p{number}", type=choose(PEDESTRIANS, rng).name, depart=f"{depart:.1f}", departPos="random"
        )
        ET.SubElement(person, "walk", {"from": start, "to": goal, "arrivalPos": "random"})
        out.append(person)
    return out


def _degree(node: str, edges: tuple[Edge, ...]) -> int:
    around = {edge.target for edge in edges if edge.source == node} | {e.source for e in edges if e.target == node}
    return len(around)


def _leads(start: Edge, goal: Edge, edges: tuple[Edge, ...]) -> bool:
    """Whether roads lead from one edge to another, without turning round."""
    reached, fresh = {start.name}, [start]
    while fresh:
        edge = fresh.pop()
        for onward in edges:
            if onward.source == edge.target and onward.target != edge.source and onward.name not in reached:
                reached.add(onward.name)
                fresh.append(onward)
    return goal.name in reached
