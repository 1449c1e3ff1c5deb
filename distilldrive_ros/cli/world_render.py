"""`distilldrive world render`: pictures and points for a nuScenes-schema root that has only tables and maps."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.recorded_root import RenderOrder, RootRendering


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "render",
        help="render the cameras and LiDAR of a root that has only tables and maps",
        description="Render six cameras and LIDAR_TOP for the scenes of a nuScenes-schema root, from its boxes, poses, "
        "calibration and map expansion, and write a complete root. The ground is flat, houses and trees are made up. "
        "A run that was interrupted goes on where it stopped when it is started again.",
    )
    parser.add_argument("dataroot", type=Path, metavar="ROOT", help="folder with tables and maps")
    parser.add_argument("--version", default="v1.0-mini", help="folder of the tables (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new root, or one made by this command")
    parser.add_argument(
        "--scene", action="append", default=[], metavar="NAME", help="only this scene; may be repeated (default: all)"
    )
    parser.add_argument("--width", type=int, metavar="W", help="of the images, px (default: as the tables say)")
    parser.add_argument("--sweeps", action="store_true", help="also what lies between the key frames")
    parser.add_argument(
        "--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), metavar="N",
        help="scenes at a time (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render and say what was done.

    Raises:
        DatasetError, WorldError: see `worlds.dataset.recorded_root`; scenes that could be rendered are there then.
    """
    if args.jobs < 1:
        raise WorldError(f"--jobs is {args.jobs}; it must be at least 1")
    order = RenderOrder(args.dataroot, args.version, args.out, tuple(args.scene), args.width, args.sweeps)
    rendering = RootRendering(order, args.jobs)
    form = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} scenes [{elapsed}<{remaining}]"
    with tqdm(total=len(rendering.scenes), bar_format=form, disable=not sys.stderr.isatty(), leave=False) as bar:
        report = rendering.run(bar.update, lambda name: bar.write(f"{args.out}: {name}"))
    done, before = len(report.scenes), report.already_there
    print(f"{args.out} (--version {args.version}): {done} scenes rendered; {before} were there before")
    if report.failures:
        raise WorldError(f"{len(report.failures)} scene(s) could not be rendered:\n" + "\n".join(report.failures))
    return 0
