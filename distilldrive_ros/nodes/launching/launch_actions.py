"""Turns a graph plan into actions of ROS's `launch`. Used by `launch/*.launch.py` only."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler, SetEnvironmentVariable, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch_ros.actions import Node

from distilldrive_ros.environment.resources import PACKAGE
from distilldrive_ros.nodes.launching.launch_plan import RESPAWN_DELAY_S, SETTLE_S, GraphPlan, LaunchArgument, Program
from distilldrive_ros.nodes.launching.supervisor import PROFILE_VARIABLES, graph_environment


def declare(arguments: Sequence[LaunchArgument]) -> list[DeclareLaunchArgument]:
    """The arguments of a launch file, with descriptions and choices."""
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            **({"choices": list(argument.choices)} if argument.choices else {}),
        )
        for argument in arguments
    ]


def graph_actions(
    context: Any,
    arguments: Sequence[LaunchArgument],
    plan_graph: Callable[[Mapping[str, str]], GraphPlan],
) -> list[Any]:
    """Actions that start a graph: for `OpaqueFunction`.

    Substitutions would not do: an argument left empty must not override the parameter file, and the file is checked
    before anything starts.
    """
    plan = plan_graph({a.name: context.launch_configurations[a.name] for a in arguments})
    environment = graph_environment(context.environment)
    actions: list[Any] = [
        SetEnvironmentVariable(name, environment[name]) for name in PROFILE_VARIABLES if name in environment
    ]
    for program in plan.programs:
        node = _node(program)
        actions.append(node)
        if program.name == plan.ends_with:
            actions.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_end)))
    if plan.rviz is not None:
        actions.append(
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(plan.rviz)],
                parameters=[{"use_sim_time": plan.use_sim_time}],
            )
        )
    return actions


def _node(program: Program) -> Node:
    named = {"name": program.node} if program.node else {}
    parameters: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in program.parameters.items()
    }
    return Node(
        package=PACKAGE,
        executable=program.name,
        namespace=program.namespace,
        parameters=[str(program.parameter_file), *([parameters] if parameters else [])],
        arguments=["--ros-args", "--log-level", program.log_level],
        output="screen",
        respawn=program.respawn,
        respawn_delay=RESPAWN_DELAY_S,
        prefix=shlex.join(program.prefix) or None,
        **named,
    )


def _end(event: Any, context: Any) -> list[Any]:
    """The player has ended: let the graph finish what it holds, then stop it all."""
    shutdown = EmitEvent(event=Shutdown(reason=f"ended with exit code {event.returncode}"))
    return [TimerAction(period=SETTLE_S, actions=[shutdown])]
