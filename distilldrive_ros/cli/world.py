"""`distilldrive world`: generated driving worlds. Every action is a module `world_<action>` of this folder."""

from __future__ import annotations

import argparse
import importlib

# Actions; each module has `add_parser(subparsers)`.
ACTIONS = ("make", "list", "render", "check")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command with its actions."""
    parser = subparsers.add_parser(
        "world",
        help="make driving worlds with traffic and sensors as data sets",
        description="Driving worlds: road networks and reactive traffic by SUMO, cameras and LiDAR by Panda3D.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action in ACTIONS:
        importlib.import_module(f"distilldrive_ros.cli.world_{action}").add_parser(actions)
