"""Writes the generated parts of the README: models from the registry, topics from the running graph, parameters.

`python -m distilldrive_ros.nodes.documentation README.md` brings the file up to date; a test compares it.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from distilldrive_ros.models.registry import MODELS
from distilldrive_ros.nodes.parameter_rendering import render_markdown
from distilldrive_ros.nodes.perception_planning_node import PerceptionPlanningNode
from distilldrive_ros.nodes.planner_node import PlannerNode
from distilldrive_ros.nodes.sensor_sync_node import SensorSyncNode
from distilldrive_ros.nodes.visualizer_node import VisualizerNode
from distilldrive_ros.scene.errors import ConfigurationError

# What every node of ROS 2 has, and says nothing about ours.
_INFRASTRUCTURE = re.compile(r"^/(rosout|parameter_events|clock)$|/transition_event$")
# Names that differ by camera or rank stand for all of them.
_FAMILIES = (
    (re.compile(r"/CAM_\w+?(?=/|$)"), "/<NAME>"),
    (re.compile(r"/candidate_\d+$"), "/candidate_<k>"),
)
_START_TIMEOUT_S = 20.0
# Of this process alone: another graph in the same domain must not show in the table.
_NAMESPACE = f"/documentation_{os.getpid()}"


def model_table() -> str:
    """The models by name, as Markdown."""
    rows = [f"| `{name}` | {entry.summary} | {entry.sensors} | {entry.weights} |" for name, entry in MODELS.items()]
    return "\n".join(["| name | what it is | needs | weights |", "|---|---|---|---|", *rows])


def topic_table() -> str:
    """Node, direction, topic, type and quality of service of the graph, read off running nodes, as Markdown."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes: list[Node] = []
    executor = SingleThreadedExecutor(context=context)
    try:
        own: dict[str, Any] = {"context": context, "namespace": _NAMESPACE}
        perception = PerceptionPlanningNode(**own)
        nodes += [SensorSyncNode(**own), perception, PlannerNode(**own), VisualizerNode(**own)]
        perception.start_now()
        for node in nodes:
            executor.add_node(node)
        rows = _settled_rows(nodes, executor)
    finally:
        for node in nodes:
            node.close()  # type: ignore[attr-defined]  # every node of this package has it
            node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
    head = ["| node | | topic | type | quality of service |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _settled_rows(nodes: Sequence[Node], executor: SingleThreadedExecutor) -> list[str]:
    """The rows, once discovery has brought nothing new for half a second."""
    deadline, rows, since = time.monotonic() + _START_TIMEOUT_S, [""], time.monotonic()
    while time.monotonic() - since < 0.5:
        if time.monotonic() > deadline:
            raise ConfigurationError("the graph does not settle; is another graph running in this ROS_DOMAIN_ID?")
        executor.spin_once(timeout_sec=0.05)
        found = [row for node in nodes for row in _rows_of(node)]
        if found != rows:
            rows, since = found, time.monotonic()
    return rows


def _rows_of(node: Node) -> list[str]:
    name = node.get_name()
    found: dict[str, None] = {}
    for direction, names_and_types, infos in (
        ("in", node.get_subscriber_names_and_types_by_node, node.get_subscriptions_info_by_topic),
        ("out", node.get_publisher_names_and_types_by_node, node.get_publishers_info_by_topic),
    ):
        for topic, types in sorted(names_and_types(name, _NAMESPACE)):
            if _INFRASTRUCTURE.search(topic):
                continue
            profiles = [i.qos_profile for i in infos(topic) if (i.node_name, i.node_namespace) == (name, _NAMESPACE)]
            shown = topic.removeprefix(_NAMESPACE)
            for pattern, family in _FAMILIES:
                shown = pattern.sub(family, shown)
            quality = _quality(profiles[0]) if profiles else "?"
            found[f"| `{name}` | {direction} | `{shown}` | `{types[0].replace('/msg/', '/')}` | {quality} |"] = None
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
