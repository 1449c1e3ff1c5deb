"""`distilldrive engine`: prepare what makes inference fast, so that no node compiles at its start."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `engine build` to the command line."""
    parser = subparsers.add_parser(
        "engine", help="compile the kernels ahead of the first run", description="Prepare the inference engine."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build",
        help="compile the aggregation op for this machine",
        description="Compile the aggregation op for this machine's CPU, and for its GPU if it has one. The result is "
        "kept in the virtual environment, or else in the user's cache. Exit status 0 if all were compiled, else 1: "
        "plain PyTorch then does the same work, slower. An earlier failure is tried again.",
    )
    build.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compile; returns 0 if there is a compiled op for every device."""
    # Imported here: torch takes seconds, and `--help` needs none.
    from distilldrive_ros.models.ops.deformable_aggregation.build import main

    return main([])
