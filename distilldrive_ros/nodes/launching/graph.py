"""Program `planner_graph`: the whole graph composed in one process. Sets are handed over by reference, not serialised.

Parameters and topics are those of the separate processes; what these publish is published here as well, so that RViz,
bags and other nodes see no difference.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

from distilldrive_ros.nodes.planning.perception_planning_node import PerceptionPlanningNode
from distilldrive_ros.nodes.planning.planner_node import PlannerNode
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode
from distilldrive_ros.nodes.visualization.visualizer_node import VisualizerNode


def make_graph(**node_arguments: Any) -> list[Node]:
    """All nodes of the graph, connected; `node_arguments` go to each.

    Perception starts before anybody listens to a sensor: whoever waits for a subscriber of the sensors (a replay) then
    finds the model loaded.

    Raises:
        ConfigurationError: a parameter of one of them is wrong.
    """
    nodes: list[Node] = []
    try:
        perception = PerceptionPlanningNode(frames_by_reference=True, **node_arguments)
        nodes.append(perception)
        perception.start_now()
        visualizer = VisualizerNode(frames_by_reference=True, **node_arguments)
        nodes.append(visualizer)
        nodes.append(PlannerNode(**node_arguments))
        sync = SensorSyncNode([perception.get_parameter("model").value], **node_arguments)
        nodes.append(sync)
    except BaseException:
        for node in nodes:
            node.close()  # type: ignore[attr-defined]  # every node of this package has it
            node.destroy_node()
        raise
    sync.hand_over(perception.accept_frame)
    sync.hand_over(visualizer.accept_frame)
    return nodes


def main(argv: Sequence[str] | None = None) -> int:
    """Program `planner_graph`."""
    return run_node(make_graph, argv)


if __name__ == "__main__":
    sys.exit(main())
