"""The programs of the package: one table for the set-up and `setup.py`; tests compare `scripts/` and CMakeLists.txt."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "distilldrive": "distilldrive_ros.cli.main:main",
    "evaluator": "distilldrive_ros.nodes.results.evaluator_node:main",
    "perception_planning": "distilldrive_ros.nodes.planning.perception_planning_node:main",
    "planner": "distilldrive_ros.nodes.planning.planner_node:main",
    "planner_graph": "distilldrive_ros.nodes.launching.graph:main",
    "recorder": "distilldrive_ros.nodes.results.recorder_node:main",
    "replay": "distilldrive_ros.nodes.playing.replay_node:main",
    "sensor_sync": "distilldrive_ros.nodes.sensing.sensor_sync_node:main",
    "simulator": "distilldrive_ros.nodes.playing.simulator_node:main",
    "visualizer": "distilldrive_ros.nodes.visualization.visualizer_node:main",
}
"""Name of the executable to `module:function`; the function returns the exit status."""


def entry_point(program: str) -> tuple[str, str]:
    """Module and function of a program."""
    module, _, function = PROGRAMS[program].partition(":")
    return module, function
