"""The `distilldrive` command. Every subcommand is a module of this folder; it is imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from distilldrive_ros.scene.errors import DistillDriveError

# Module of this folder and what `--help` says of it.
COMMANDS = {
    "demo": "make a scene, drive it through the whole graph, leave a report",
    "launch": "start the graph of nodes where ros2 launch is absent",
    "convert": "nuScenes-schema data to rosbag2 MCAP, one bag per scene",
    "replay": "run a bag through a model without ROS, the same result every time",
    "evaluate": "compare models over bags: open-loop metrics, tables, worst cases",
    "crossvalidate": "train the ego-status network ego_mlp without each scene in turn",
    "navsim": "drive recorded scenes in pseudo closed loop, score them as NAVSIM does",
    "world": "make driving worlds with traffic and sensors as data sets",
    "train": "train the networks on a nuScenes-schema root, by stages",
    "bench": "measure this machine, write a table and JSON",
    "engine": "compile the kernels ahead of the first run, export the student",
    "doctor": "what is installed, what is missing, what to do",
}
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Parser with the full arguments of `command` and one line for each of the others."""
    parser = argparse.ArgumentParser(
        prog="distilldrive",
        description="Cameras and LiDAR in, scored multi-mode plans out, on ROS 2. Research software, no safety system.",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens inside")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        if name == command:
            importlib.import_module(f"distilldrive_ros.cli.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns its exit code: 0 only on success, 2 for an error that the user can mend."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((a for a in arguments if a in COMMANDS), None)
    parsed = build_parser(command).parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if parsed.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(parsed.run(parsed))
    except DistillDriveError as error:
        print(f"distilldrive {parsed.command}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"distilldrive {parsed.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (a pager, `head`): not a failure. Keep the interpreter's own flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
