"""`distilldrive launch planner|replay|simulation`: the graph of `launch/*.launch.py` where `ros2 launch` is absent."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from distilldrive_ros.environment.programs import entry_point
from distilldrive_ros.nodes.launching.launch_plan import (
    PLANNER_ARGUMENTS,
    REPLAY_ARGUMENTS,
    RESPAWN_DELAY_S,
    SETTLE_S,
    SIMULATION_ARGUMENTS,
    GraphPlan,
    LaunchArgument,
    Program,
    plan_planner,
    plan_replay,
    plan_simulation,
)
from distilldrive_ros.nodes.launching.supervisor import ProcessGroup, graph_environment
from distilldrive_ros.scene.errors import ConfigurationError

GRAPHS = {
    "planner": (PLANNER_ARGUMENTS, plan_planner),
    "replay": (REPLAY_ARGUMENTS, plan_replay),
    "simulation": (SIMULATION_ARGUMENTS, plan_simulation),
}
POLL_S = 0.2


def add_parser(subparsers: Any) -> None:
    """Add `launch` with one sub-command per graph."""
    parser = subparsers.add_parser("launch", help="start the graph of nodes where ros2 launch is absent")
    graphs = parser.add_subparsers(dest="graph", required=True, metavar="|".join(GRAPHS))
    for name, (arguments, _) in GRAPHS.items():
        graph = graphs.add_parser(
            name,
            help=f"same graph and arguments as {name}.launch.py",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        for argument in arguments:
            _add_option(graph, argument)
        graph.add_argument("assignments", nargs="*", metavar="key:=value", help="the same arguments in ROS's way")
        graph.set_defaults(run=run)


def _add_option(parser: argparse.ArgumentParser, argument: LaunchArgument) -> None:
    names = [f"--{argument.name}"] + ([f"--{argument.name.replace('_', '-')}"] if "_" in argument.name else [])
    choices = [choice for choice in argument.choices if choice] or None
    if choices == ["true", "false"]:
        parser.add_argument(*names, nargs="?", const="true", choices=choices, default=None, help=argument.description)
    else:
        parser.add_argument(*names, choices=choices, default=None, help=argument.description)


def run(args: argparse.Namespace) -> int:
    """Start the graph and stay until it ends, a program fails or Ctrl-C. 0 after a bag's end or an interruption."""
    arguments, plan_graph = GRAPHS[args.graph]
    given = {a.name: getattr(args, a.name) for a in arguments if getattr(args, a.name) is not None}
    given.update(parse_assignments(args.assignments))
    return supervise(plan_graph(given))


def parse_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """Values of `key:=value` words.

    Raises:
        ConfigurationError: a word of another form.
    """
    pairs = {}
    for word in assignments:
        name, separator, value = word.partition(":=")
        if not separator or not name:
            raise ConfigurationError(f"{word!r} is not of the form key:=value")
        pairs[name] = value
    return pairs


def command_line(program: Program) -> list[str]:
    """Command of one program."""
    words = [*program.prefix, sys.executable, "-m", entry_point(program.name)[0], "--ros-args"]
    words += ["--params-file", str(program.parameter_file)]
    for name, value in program.parameters.items():
        # JSON is YAML: a string stays a string, whatever it looks like.
        words += ["-p", f"{name}:={json.dumps(list(value) if isinstance(value, tuple) else value)}"]
    if program.namespace:
        words += ["-r", f"__ns:=/{program.namespace.strip('/')}"]
    return [*words, "--log-level", program.log_level]


def supervise(plan: GraphPlan) -> int:
    """Start the programs of a plan and watch them.

    Returns:
        0 where the plan's last program ended well or the user asked for the end, else the exit code of the first
        program that died.
    """
    environment = graph_environment()
    rviz = rviz_command(plan.rviz, plan.use_sim_time) if plan.rviz is not None else None
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ProcessGroup() as group:
            for program in plan.programs:
                delay = RESPAWN_DELAY_S if program.respawn else None
                group.start(program.name, command_line(program), environment, delay)
            if rviz is not None:
                group.start("rviz2", rviz, environment)
            while not asked:
                ended = group.wait_any(POLL_S)
                if ended is not None and ended[0] != "rviz2":
                    return _end(plan, *ended)
            return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(plan: GraphPlan, name: str, code: int) -> int:
    if name == plan.ends_with and code == 0:
        time.sleep(SETTLE_S)
        return 0
    print(f"distilldrive launch: {name} ended with exit code {code}; the rest is stopped", file=sys.stderr)
    return code if code > 0 else 1


def rviz_command(configuration: Path, use_sim_time: bool) -> list[str]:
    """Command of RViz.

    Raises:
        ConfigurationError: RViz is not installed.
    """
    program = shutil.which("rviz2")
    if program is None:
        raise ConfigurationError(
            "rviz2 is not installed; run RViz on a machine with ROS 2 in the same network, and leave rviz false here"
        )
    return [program, "-d", str(configuration), "--ros-args", "-p", f"use_sim_time:={str(use_sim_time).lower()}"]
