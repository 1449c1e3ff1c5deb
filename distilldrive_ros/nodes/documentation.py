"""Writes the generated parts of the README: models from the registry, topics from the running graph, parameters.

`python -m distilldrive_ros.nodes.documentation README.md` brings the file up to date; a test compares it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from distilldrive_ros.models.registry import MODELS
from distilldrive_ros.nodes.parameters.rendering import render_markdown
from distilldrive_ros.nodes.planning.perception_planning_node import PerceptionPlanningNode
from distilldrive_ros.nodes.planning.planner_node import PlannerNode
from distilldrive_ros.nodes.playing.simulator_node import SimulatorNode
from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode
from distilldrive_ros.nodes.visualization.visualizer_node import VisualizerNode
from distilldrive_ros.scene.errors import ConfigurationError

# What every node of ROS 2 has, and says nothing about ours.
_INFRASTRUCTURE = re.compile(r"^/(rosout|parameter_events|clock)$|/transition_event$")
# Names that differ by camera or rank stand for all of them.
_FAMILIES = (
    (re.compile(r"/CAM_\w+?(?=/|$)"), "/<NAME>"),
    (re.compile(r"/candidate_\d+$"), "/candidate_<k>"),
)


def model_table() -> str:
    """The models by name, as Markdown."""
    rows = [f"| `{name}` | {entry.summary} | {entry.sensors} | {entry.weights} |" for name, entry in MODELS.items()]
    return "\n".join(["| name | what it is | needs | weights |", "|---|---|---|---|", *rows])


def topic_table() -> str:
    """Node, direction, topic, type and quality of service of the graph, read off running nodes, as Markdown."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes: list[Node] = []
    try:
        perception = PerceptionPlanningNode(context=context)
        nodes += [SensorSyncNode(context=context), perception, PlannerNode(context=context)]
        nodes.append(VisualizerNode(context=context))
        nodes.append(SimulatorNode(start=False, context=context))
        perception.start_now()
        rows = [row for node in nodes for row in _rows_of(node)]
    finally:
        for node in nodes:
            node.close()  # type: ignore[attr-defined]  # every node of this package has it
            node.destroy_node()
        rclpy.shutdown(context=context)
    head = ["| node | | topic | type | quality of service |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _rows_of(node: Node) -> list[str]:
    """Rows from the node's own endpoints: unlike the discovered graph, they are all there and nobody else's."""
    found: dict[str, None] = {}
    ends: list[tuple[str, list[Any]]] = [("in", list(node.subscriptions)), ("out", list(node.publishers))]
    for direction, endpoints in ends:
        for endpoint in sorted(endpoints, key=lambda e: str(e.topic_name)):
            topic = str(endpoint.topic_name)
            if _INFRASTRUCTURE.search(topic):
                continue
            for pattern, family in _FAMILIES:
                topic = pattern.sub(family, topic)
            kind = f"{endpoint.msg_type.__module__.split('.')[0]}/{endpoint.msg_type.__name__}"
            quality = _quality(endpoint.qos_profile)
            found[f"| `{node.get_name()}` | {direction} | `{topic}` | `{kind}` | {quality} |"] = None
    return list(found)


def _quality(profile: QoSProfile) -> str:
    reliability = "best effort" if profile.reliability == ReliabilityPolicy.BEST_EFFORT else "reliable"
    latched = ", transient local" if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL else ""
    return reliability + latched


def update(text: str) -> str:
    """The README with its generated parts as they should be.

    Raises:
        ConfigurationError: a part's markers are missing.
    """
    parts = {"models": model_table, "topics": topic_table, "parameters": lambda: render_markdown().rstrip()}
    for name, render in parts.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end generated -->)", re.DOTALL)
        if not pattern.search(text):
            raise ConfigurationError(f"the file has no part '<!-- generated: {name} -->'; put the markers back")
        body = render()
        text = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Bring the file named on the command line up to date."""
    path = Path((sys.argv[1:] if argv is None else argv)[0])
    path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
