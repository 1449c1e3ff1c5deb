"""`distilldrive convert`: a nuScenes-schema root to rosbag2 MCAP bags, one per scene."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion, notices
from distilldrive_ros.scene.errors import BagError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "convert",
        help="make rosbag2 bags of a nuScenes-schema data set",
        description="Convert a nuScenes-schema data set to rosbag2 (MCAP), one bag per scene. "
        "A run that was interrupted goes on where it stopped when it is started again.",
    )
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder with samples/ and tables")
    parser.add_argument("--version", default="v1.0-mini", help="folder of the tables (default: %(default)s)")
    parser.add_argument(
        "--scene", action="append", default=[], metavar="NAME", help="only this scene; may be repeated (default: all)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that gets one bag per scene")
    parser.add_argument("--force", action="store_true", help="replace bags that are there already")
    parser.add_argument("--no-sweeps", action="store_true", help="only key frames, not what lies between them")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="scenes at a time (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert and say what was done.

    Raises:
        DatasetError, BagError: see `bags.convert.convert_scene`.
    """
    settings = ConversionSettings(
        args.dataroot, args.version, args.out, force=args.force, sweeps=not args.no_sweeps, jobs=args.jobs
    )
    conversion = DatasetConversion(settings, args.scene)
    reports = []
    with tqdm(total=conversion.key_frames, unit="key frame", disable=not sys.stderr.isatty(), leave=False) as bar:
        for report in conversion.run(bar.update):
            reports.append(report)
            if not report.already_there:
                count, size = sum(report.messages.values()), report.bytes_copied / 1e6
                bar.write(
                    f"{settings.out / report.scene_name}: {report.key_frames} key frames, {count} messages, "
                    f"{size:.1f} MB of images and points in {report.seconds:.1f} s"
                )
    said = notices(reports)
    for line in said:
        print(f"note: {line}")
    if args.json is not None:
        _write_json(args.json, {"out": str(args.out), "notices": said, "scenes": [asdict(r) for r in reports]})
    return 0


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write under a temporary name, then rename.

    Raises:
        BagError: the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise BagError(f"the report cannot be written to {path}: {error.strerror}; choose another --json") from error


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
