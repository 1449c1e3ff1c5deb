"""The graph in closed loop with generated worlds: `ros2 launch distilldrive_ros simulation.launch.py model:=ctra`.

`ros2 launch distilldrive_ros simulation.launch.py -s` lists the arguments. Without `ros2`: `distilldrive launch
simulation`.
"""

from launch.actions import OpaqueFunction

from distilldrive_ros.nodes.launching.launch_actions import declare, graph_actions
from distilldrive_ros.nodes.launching.launch_plan import SIMULATION_ARGUMENTS, plan_simulation
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the programs that follow from them."""
    start = OpaqueFunction(function=graph_actions, args=[SIMULATION_ARGUMENTS, plan_simulation])
    return LaunchDescription([*declare(SIMULATION_ARGUMENTS), start])
