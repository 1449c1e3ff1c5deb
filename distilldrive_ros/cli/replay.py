"""`distilldrive replay`: a bag through model and planner in this process, the same result every time."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distilldrive_ros.cli.replay_settings import add_replay_arguments, frame_settings, limit_threads
from distilldrive_ros.evaluation.replay import PLANS_FILE, ReplayReport, replay_to_folder
from distilldrive_ros.models.registry import MODELS, ModelRequest, load_model


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        help="run a bag through a model without ROS, the same result every time",
        description="Drives synchroniser, model and planner of the graph in this process, in stamp order, without "
        "dropping a frame. Leaves plans.mcap (same stamps as the bag, to be played beside it), replay.json with the "
        "counts, and latency.json with the times, which alone differ from run to run.",
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--model", required=True, choices=list(MODELS), help="which model")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="checkpoint; without it the weights are untrained")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--key-frames-only", action="store_true", help="only the key frames of a converted data set")
    parser.add_argument("--force", action="store_true", help="replace results that are there already")
    add_replay_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay and say what was done.

    Raises:
        DistillDriveError: bag, rig or model cannot be used; the message says why.
    """
    limit_threads(args.threads)
    frames = frame_settings(args.rig, args.key_frames_only, [args.model])
    model = load_model(args.model, ModelRequest(args.weights, args.device, precision=args.precision))
    started = time.monotonic()
    with tqdm(unit="s", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: float, total: float) -> None:
            bar.total = round(total, 2)
            bar.update(round(done, 2) - bar.n)

        report = replay_to_folder(args.bag, args.out, model, frames, force=args.force, progress=show)
    _say(report, args.out / PLANS_FILE, time.monotonic() - started)
    return 0


def _say(report: ReplayReport, plans: Path, seconds: float) -> None:
    pace = f"{report.duration_s / max(seconds, 1e-9):.1f} times real time"
    print(f"{plans}: {report.plans} plans of {report.sets} sets by {report.model_id}, {pace}")
    if not report.trained:
        print("note: the weights are untrained; these plans mean nothing")
    for cause, count in report.failures.items():
        print(f"note: {count} sets without a plan: {cause}")
    for reason, count in report.dropped_sets.items():
        print(f"note: {count} anchors gave no set: {reason}")
    for topic, count in report.refused.items():
        print(f"note: {count} messages of {topic} could not be used: {report.reasons[topic]}")
