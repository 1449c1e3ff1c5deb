"""The graph from sensors to paths: `ros2 launch distilldrive_ros planner.launch.py model:=student weights:=...`.

`ros2 launch distilldrive_ros planner.launch.py -s` lists the arguments. Without `ros2`: `distilldrive launch planner`.
"""

from launch.actions import OpaqueFunction

from distilldrive_ros.nodes.launching.launch_actions import declare, graph_actions
from distilldrive_ros.nodes.launching.launch_plan import PLANNER_ARGUMENTS, plan_planner
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the programs that follow from them."""
    start = OpaqueFunction(function=graph_actions, args=[PLANNER_ARGUMENTS, plan_planner])
    return LaunchDescription([*declare(PLANNER_ARGUMENTS), start])
