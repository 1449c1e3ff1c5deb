"""The graph and a bag that is played to it: `ros2 launch distilldrive_ros replay.launch.py bag:=FOLDER`.

`ros2 launch distilldrive_ros replay.launch.py -s` lists the arguments. Without `ros2`: `distilldrive launch replay`.
"""

from launch.actions import OpaqueFunction

from distilldrive_ros.nodes.launching.launch_actions import declare, graph_actions
from distilldrive_ros.nodes.launching.launch_plan import REPLAY_ARGUMENTS, plan_replay
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the programs that follow from them."""
    start = OpaqueFunction(function=graph_actions, args=[REPLAY_ARGUMENTS, plan_replay])
    return LaunchDescription([*declare(REPLAY_ARGUMENTS), start])
