"""A road network as netconvert takes it: nodes, edges, connections, crossings."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.sumo import sumo_program

Point = tuple[float, float]

NETCONVERT_LIMIT_S = 120.0
# Turning vehicles are no faster than this lateral acceleration allows, m/s^2.
TURN_ACCELERATION = 2.5


@dataclass(frozen=True)
class Node:
    """Where roads meet or end. `kind` is SUMO's node type, `radius` that of the kerb corners, m."""

    name: str
    at: Point
    kind: str = "priority"
    radius: float = 7.0


@dataclass(frozen=True)
class Edge:
    """One direction of a road, lane 0 at the right.

    `shape` (m) holds the points between the ends. `sidewalk` m, 0 for none. `closed` lanes are there but nobody may
    use them. `alone`: no opposite direction beside it, so that its middle lies on the line between the nodes.
    """

    name: str
    source: str
    target: str
    lanes: int
    speed: float
    lane_width: float = 3.5
    shape: tuple[Point, ...] = ()
    sidewalk: float = 0.0
    priority: int = 1
    closed: tuple[int, ...] = ()
    alone: bool = False

    @property
    def first_lane(self) -> int:
        """SUMO's index of the rightmost lane for vehicles: sidewalks count, too."""
        return 1 if self.sidewalk else 0


@dataclass(frozen=True)
class Connection:
    """That one lane leads to another; lanes counted from the right without the sidewalk."""

    source: str
    target: str
    source_lane: int
    target_lane: int


@dataclass(frozen=True)
class Crossing:
    """A pedestrian crossing over edges, at a node. `priority`: vehicles wait even without lights."""

    node: str
    edges: tuple[str, ...]
    priority: bool = True
    width: float = 4.0


@dataclass(frozen=True)
class RoadNetwork:
    """All of it. `roundabouts`: (nodes, edges) of each ring."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    connections: tuple[Connection, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    roundabouts: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    green_s: int = 12
    edge_by_name: Mapping[str, Edge] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the edges."""
        object.__setattr__(self, "edge_by_name", {edge.name: edge for edge in self.edges})


def build_network(network: RoadNetwork, folder: Path) -> Path:
    """Let netconvert compute lanes, junctions, crossings and lights; returns the file.

    Raises:
        WorldError: netconvert is missing or refuses the network.
    """
    written = {
        "node": _write(folder / "roads.nod.xml", "nodes", _nodes(network)),
        "edge": _write(folder / "roads.edg.xml", "edges", _edges(network)),
        "connection": _write(folder / "roads.con.xml", "connections", _connections(network)),
    }
    output = folder / "roads.net.xml"
    command = [str(sumo_program("netconvert")), "--output-file", str(output), "--xml-validation", "never"]
    for name, path in written.items():
        command += [f"--{name}-files", str(path)]
    command += [
        "--offset.disable-normalization", "true", "--no-turnarounds", "true", "--junctions.internal-link-detail", "24",
        "--junctions.corner-detail", "6", "--walkingareas", "true",
        "--junctions.limit-turn-speed", str(TURN_ACCELERATION), "--tls.green.time", str(network.green_s),
        "--tls.yellow.time", "3", "--tls.allred.time", "1", "--no-warnings", "true", "--precision", "3",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NETCONVERT_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorldError(f"netconvert could not run: {error}; check the installation of eclipse-sumo") from error
    if done.returncode or not output.is_file():
        why = (done.stderr or done.stdout).strip().splitlines()
        raise WorldError(
            f"netconvert refused the roads: {why[0] if why else f'exit code {done.returncode}'}; "
            "choose another seed or other parameters"
        )
    return output


def _write(path: Path, root: str, elements: list[ET.Element]) -> Path:
    top = ET.Element(root)
    top.extend(elements)
    try:
        ET.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise WorldError(f"{path} could not be written: {error}; make room or check TMPDIR") from error
    return path


def _nodes(network: RoadNetwork) -> list[ET.Element]:
    return [
        ET.Element("node", id=n.name, x=f"{n.at[0]:.3f}", y=f"{n.at[1]:.3f}", type=n.kind, radius=f"{n.radius:.2f}")
        for n in network.nodes
    ]


def _edges(network: RoadNetwork) -> list[ET.Element]:
    at = {node.name: node.at for node in network.nodes}
    out = []
    for edge in network.edges:
        attributes = {
            "id": edge.name, "from": edge.source, "to": edge.target, "numLanes": str(edge.lanes),
            "speed": f"{edge.speed:.2f}", "width": f"{edge.lane_width:.2f}", "priority": str(edge.priority),
            "spreadType": "center" if edge.alone else "right",
        }  # fmt: skip
        if edge.shape:
            points = (at[edge.source], *edge.shape, at[edge.target])
            attributes["shape"] = " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
        if edge.sidewalk:
            attributes["sidewalkWidth"] = f"{edge.sidewalk:.2f}"
        element = ET.Element("edge", attributes)
        for lane in range(edge.lanes):
            rule = {"allow": "authority"} if lane in edge.closed else {"disallow": "pedestrian tram rail ship"}
            ET.SubElement(element, "lane", {"index": str(lane), **rule})
        out.append(element)
    for nodes, edges in network.roundabouts:
        out.append(ET.Element("roundabout", nodes=" ".join(nodes), edges=" ".join(edges)))
    return out


def _connections(network: RoadNetwork) -> list[ET.Element]:
    out = []
    for c in network.connections:
        shift = [network.edge_by_name[name].first_lane for name in (c.source, c.target)]
        out.append(
            ET.Element(
                "connection",
                {
                    "from": c.source, "to": c.target,
                    "fromLane": str(c.source_lane + shift[0]), "toLane": str(c.target_lane + shift[1]),
                },
            )
        )  # fmt: skip
    for crossing in network.crossings:
        out.append(
            ET.Element(
                "crossing",
                node=crossing.node,
                edges=" ".join(crossing.edges),
                priority="true" if crossing.priority else "false",
                width=f"{crossing.width:.2f}",
            )
        )
    return out
