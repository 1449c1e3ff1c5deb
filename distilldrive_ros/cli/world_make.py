"""`distilldrive world make`: generated scenes with all sensors as a data set root in the nuScenes schema."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.making import FIRST_NUMBER, WorldMaking, WorldOrder
from distilldrive_ros.worlds.dataset.root import VERSION
from distilldrive_ros.worlds.dataset.schedule import KEY_FRAMES_ONLY, SensorRates
from distilldrive_ros.worlds.scenarios.scenario import DURATION_S, ScenarioKind


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "make",
        help="make scenes with all sensors as a nuScenes-schema root",
        description="Generate scenes, let the expert drive through them, and write cameras, LiDAR, boxes and map as a "
        f"nuScenes-schema root (--version {VERSION}). The same seed gives the same scenes. A run that was interrupted "
        "goes on where it stopped when it is started again; more scenes and the other split can be added later.",
    )
    parser.add_argument("--scenes", type=int, required=True, metavar="N", help="how many scenes of the split")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="decides everything (default: %(default)s)")
    parser.add_argument("--split", choices=tuple(FIRST_NUMBER), default="train", help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new folder, or one made by this command"
    )
    parser.add_argument("--width", type=int, default=800, metavar="W", help="of the images, px (default: %(default)s)")
    parser.add_argument(
        "--kinds", nargs="+", choices=[kind.value for kind in ScenarioKind], default=[], metavar="KIND",
        help="only these kinds of scenes (see `distilldrive world list`; default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--duration", type=float, default=DURATION_S, metavar="S", help="length of a scene, s (default: %(default)s)"
    )
    parser.add_argument("--no-sweeps", action="store_true", help="only key frames (2 Hz), not 12 Hz and 20 Hz sweeps")
    parser.add_argument(
        "--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), metavar="N",
        help="scenes at a time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the scenes and say what was done.

    Raises:
        WorldError: see `worlds.dataset.making`, or some scenes cannot be made; all others are there then.
    """
    if args.jobs < 1:
        raise WorldError(f"--jobs is {args.jobs}; it must be at least 1")
    kinds = tuple(ScenarioKind(value) for value in args.kinds)
    rates = KEY_FRAMES_ONLY if args.no_sweeps else SensorRates()
    order = WorldOrder(args.seed, args.width, args.duration, rates, kinds)
    making = WorldMaking(args.out, order, args.split, args.scenes, args.jobs)
    # Shares of scenes are floats: rounded where they are shown.
    form = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} scenes [{elapsed}<{remaining}]"
    with tqdm(total=args.scenes, bar_format=form, disable=not sys.stderr.isatty(), leave=False) as bar:
        report = making.run(bar.update, bar.write)
    boxes = sum(scene["boxes"] for scene in report.scenes)
    frames = sum(scene["key_frames"] for scene in report.scenes)
    flaws = [flaw for scene in report.scenes for flaw in scene["given_up"]]
    print(
        f"{args.out} (--version {VERSION}): {len(report.scenes)} scenes of split {args.split}, {frames} key frames, "
        f"{boxes} boxes; {report.already_there} scenes were there before"
    )
    if flaws:
        print(f"note: {len(flaws)} drive(s) of the expert were given up and driven anew: {'; '.join(flaws)}")
    if args.json is not None:
        write_whole(args.json, json.dumps({"out": str(args.out), **asdict(report)}, indent=2) + "\n")
    if report.failures:
        raise WorldError(f"{len(report.failures)} scene(s) could not be made:\n" + "\n".join(report.failures))
    return 0
