"""`distilldrive demo`: a drive through the whole graph, and a report on it that a person can look at."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from distilldrive_ros.cli.demo_data import (
    Drive,
    convert_drive,
    dataset_drive,
    demo_drive,
    missing_engines,
    world_drive,
)
from distilldrive_ros.cli.demo_drive import ClosedLoopPart, drive_closed_loop
from distilldrive_ros.cli.demo_graph import DemoRun, run_graph
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.metrics import DriveMetrics
from distilldrive_ros.evaluation.report.page import ReportContext
from distilldrive_ros.evaluation.report.writer import METRICS_FILE, REPORT_FILE, write_report, write_whole
from distilldrive_ros.models.registry import MODELS, ModelRequest
from distilldrive_ros.scene.errors import ConfigurationError, DistillDriveError

PLANS_FILE = "plans.mcap"
WORK_FOLDER = "work"
# Longest wait for one plan, seconds: the full network takes several on two cores, its first one longer.
PLAN_TIMEOUT_S = {"student": 180.0}
DEFAULT_PLAN_TIMEOUT_S = 30.0


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="make a scene, drive it through the whole graph, leave a report",
        description="Plays a drive through sensor_sync, perception_planning and planner, each a process of its own on "
        "a real DDS, and leaves report.html, metrics.json and plans.mcap. Without --dataroot it generates a world "
        "first, and afterwards lets the model drive in it in closed loop.",
    )
    parser.add_argument("--model", default="student_tiny", choices=list(MODELS), help="default: %(default)s")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="checkpoint; without it the weights are untrained")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--dataroot", type=Path, metavar="DIR", help="nuScenes-schema data set instead of the generated world"
    )
    parser.add_argument("--version", default="v1.0-mini", help="folder of its tables (default: %(default)s)")
    parser.add_argument("--scene", metavar="NAME", help="one of its scenes (default: the first)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=1.0, help="speed limit of the playback against real time; it "
                        "always waits for each plan, so no frame is dropped (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--drawn", action="store_true", help="a drawn scene instead of the generated world; needs no engines"
    )
    parser.add_argument(
        "--drive", type=float, default=8.0, metavar="S", help="of the closed loop; 0: none (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the bag of the drive, to play it again")
    parser.add_argument(
        "--fresh", action="store_true", help="make the demo scene anew instead of taking the cached one"
    )
    parser.add_argument("--frames", type=int, default=12, metavar="N", help="key frames of the scene (%(default)s)")
    parser.add_argument("--image-width", type=int, default=1600, metavar="PX", help="of the scene (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came of it as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scene, bag, graph, report.

    Raises:
        DistillDriveError: any step failed; the message says which and what to do.
    """
    started = time.monotonic()
    _check(args)
    out: Path = args.out
    work = out / WORK_FOLDER
    drive = _drive(args, work)
    bag, conversion = convert_drive(drive, work / "bags")
    _say(f"drive: {drive.description} ({conversion.key_frames} key frames)")
    demo_run = DemoRun(
        bag=bag, plans=out / PLANS_FILE, log=work / "graph.log", model=args.model, weights=args.weights,
        device=args.device, rate=args.rate, expected_plans=conversion.key_frames,
        plan_timeout_s=PLAN_TIMEOUT_S.get(args.model, DEFAULT_PLAN_TIMEOUT_S),
    )  # fmt: skip
    run_graph(demo_run, sys.stderr if args.verbose else None, _say)
    closed = _closed_loop(args, drive)
    section = None if closed is None else closed.section
    metrics = write_report(bag, demo_run.plans, out, replace(_context(args, drive), closed_loop=section))
    if not args.keep:
        shutil.rmtree(bag.parent, ignore_errors=True)
    seconds = time.monotonic() - started
    _conclude(out, metrics, seconds)
    if args.json is not None:
        result = {"out": str(out), "seconds": round(seconds, 2), **metrics.to_json()}
        if closed is not None:
            result["closed_loop"] = closed.result.to_json()
        write_whole(args.json, json.dumps(result, indent=2) + "\n")
    if metrics.counts.plans_out == 0:
        raise DistillDriveError(f"no plan came out of the graph; see {demo_run.log}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse early what would fail late."""
    for module, remedy in (
        ("rclpy", "run `make setup`"),
        ("distilldrive_ros.msg", "run `make setup`, which builds them"),
    ):
        try:
            importlib.import_module(module)
        except ImportError as error:
            name = "the ROS 2 client library (rclpy)" if module == "rclpy" else "the messages of this package"
            raise ConfigurationError(f"{name} cannot be imported ({error}); {remedy}") from error
    if args.weights is not None and not args.weights.is_file():
        raise ConfigurationError(f"there is no weight file {args.weights}; check the path or leave --weights out")
    if args.dataroot is not None and not args.dataroot.is_dir():
        raise ConfigurationError(f"there is no folder {args.dataroot}; check --dataroot or leave it out")
    if args.dataroot is None and args.scene is not None:
        raise ConfigurationError("--scene names a scene of a data set; give its --dataroot, too")
    if not 0 <= args.drive <= 600:
        raise ConfigurationError(f"--drive is {args.drive} s; it must lie between 0 and 600")


def _drive(args: argparse.Namespace, work: Path) -> Drive:
    if args.dataroot is not None:
        return dataset_drive(args.dataroot, args.version, args.scene)
    try:
        options = DemoSceneOptions(key_frames=args.frames, width=args.image_width)
    except ValueError as error:
        raise ConfigurationError(f"{error}; see --frames and --image-width") from error
    began = time.monotonic()
    missing = "" if args.drawn else missing_engines()
    if missing:
        _say(f"note: a drawn scene instead of a generated world, and no closed loop: {missing}")
    make = demo_drive if args.drawn or missing else world_drive
    drive = make(work, options, args.fresh)
    _say(f"scene: {drive.dataroot} ({time.monotonic() - began:.1f} s)")
    return drive


def _closed_loop(args: argparse.Namespace, drive: Drive) -> ClosedLoopPart | None:
    """The model's drive in the world that was recorded; None where there is no such world, or it is not asked for."""
    if drive.world_seed is None or args.drive <= 0:
        return None
    began = time.monotonic()
    part = drive_closed_loop(args.model, ModelRequest(args.weights, args.device), drive.world_seed, args.drive)
    for model in part.result.models:
        _say(f"closed loop, {model.name}: {model.results[0].sentence}")
    _say(f"closed loop: {time.monotonic() - began:.1f} s")
    return part


def _context(args: argparse.Namespace, drive: Drive) -> ReportContext:
    entry = MODELS[args.model]
    return ReportContext(
        title="distilldrive_ros demo",
        model=f"{args.model}: {entry.summary}",
        source=drive.description,
        playback=(
            f"at most {args.rate:g} times real time, in lock-step: a key frame is played once the plan of the one "
            "before has arrived, so that none is dropped"
        ),
        command="distilldrive " + " ".join(_typed(args)),
        facts=machine_facts(),
    )


def _typed(args: argparse.Namespace) -> list[str]:
    """The options that make the run again."""
    words = ["demo", "--model", args.model]
    for name in ("weights", "dataroot", "scene"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    if args.dataroot is not None:
        words += ["--version", args.version]
    if args.drawn:
        words.append("--drawn")
    return [*words, "--rate", f"{args.rate:g}"]


def _conclude(out: Path, metrics: DriveMetrics, seconds: float) -> None:
    counts = metrics.counts
    _say(f"plans: {counts.plans_out} of {counts.frames_in} key frames, by {metrics.model_id}")
    if not metrics.trained:
        _say("note: the weights are untrained, so the plans mean nothing")
    _say(f"report: {out / REPORT_FILE}")
    _say(f"        {out / METRICS_FILE}, {out / PLANS_FILE} ({seconds:.0f} s in all)")


def _say(words: str) -> None:
    print(words, flush=True)
