"""`distilldrive world list`: kinds of scenes that can be made, or the scenes of a root that was made."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from distilldrive_ros.worlds.dataset.root import WorldRoot
from distilldrive_ros.worlds.scenarios.scenario import ScenarioKind


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "list",
        help="kinds of scenes, or the scenes of a root",
        description="List the kinds of scenes that `world make --kinds` takes, or the scenes of a root that it made.",
    )
    parser.add_argument("root", type=Path, nargs="?", metavar="DIR", help="a root that `world make` wrote")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list.

    Raises:
        WorldError: the folder was not made by `world make`.
    """
    if args.root is None:
        for kind in ScenarioKind:
            print(kind.value)
        return 0
    reports = WorldRoot(args.root).scenes()
    for name, report in reports.items():
        print(f"{name}  {_line(report)}")
    print(f"{len(reports)} scene(s)")
    return 0


def _line(report: dict[str, Any]) -> str:
    return (
        f"{report['split']:<5} {report['kind']:<18} {report['key_frames']:>3} key frames {report['boxes']:>5} boxes  "
        f"{report['description']}"
    )
