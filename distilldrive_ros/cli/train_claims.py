"""`distilldrive train claims`: what distillation, reinforcement and the generative module are worth, at any scale."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from distilldrive_ros.cli.replay_settings import add_replay_arguments, frame_settings, limit_threads
from distilldrive_ros.cli.train_values import overrides
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.scene.errors import ConfigurationError

if TYPE_CHECKING:
    from distilldrive_ros.training.claims.measuring import HeldOut, Rows
    from distilldrive_ros.training.claims.study import Study

RULES = ("constant_velocity", "ctra")
TABLE_FILE, NUMBERS_FILE = "claims.md", "claims.json"


def add_parser(actions: Any) -> None:
    """Add the command to those of `train`."""
    parser = actions.add_parser(
        "claims",
        help="the papers' claims at your scale: train with and without each part, and compare",
        description="Trains teachers and students by seed on one frozen perception: distilled, without distillation, "
        "without the reinforcement part, without the generative module. Scores them on roots that no training has "
        "seen, and in closed loop. What is done already stays: start it again after an interruption.",
    )
    parser.add_argument("--teacher", type=Path, required=True, metavar="FILE", help="configuration of stage 0")
    parser.add_argument("--student", type=Path, required=True, metavar="FILE", help="configuration of stage 2")
    parser.add_argument("--dataroot", required=True, metavar="DIR", help="to train on")
    parser.add_argument("--version", required=True, help="folder of its tables")
    parser.add_argument(
        "--held-out", action="append", default=[], metavar="NAME=DIR:VERSION",
        help="a root to score on; give it again for more",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="any value of both configurations, such as model.anchors=anchors.npz",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2")
    parser.add_argument("--worlds", type=int, default=0, metavar="N", help="to drive through in closed loop (0: none)")
    parser.add_argument("--world-seed", type=int, default=9000, help="of the first of them (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="trainings, bags and tables go there")
    add_replay_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, score, write both tables.

    Raises:
        DistillDriveError: a configuration, a data set, weights or the disk; the message says what helps.
    """
    limit_threads(args.threads)
    # Imported here: torch takes seconds, and `--help` needs none.
    from distilldrive_ros.training.claims.measuring import CLOSED_LOOP, OPEN_LOOP, open_loop
    from distilldrive_ros.training.claims.study import Study
    from distilldrive_ros.training.claims.table import markdown, to_json

    values = {**overrides(args.set), "data.dataroot": args.dataroot, "data.version": args.version}
    study = Study(args.teacher, args.student, values, tuple(args.seeds), args.out)
    roots = [_held_out(word) for word in args.held_out]
    rules: dict[str, DrivingModel] = {name: load_model(name, ModelRequest()) for name in RULES}
    document: dict[str, Any] = {"command": "distilldrive " + " ".join(sys.argv[1:]), "machine": machine_facts()}
    text = ["# The claims at this scale", ""]
    with tqdm(unit="step", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(words: str) -> None:
            bar.set_description(words)
            bar.update()

        study.run(show)
        for root in roots:
            rows = open_loop(study, root, frame_settings(args.rig, True, RULES), rules, show)
            document[f"open loop, {root.name}"] = to_json(rows, OPEN_LOOP)
            text += [f"## Open loop, {root.name}", "", markdown(rows, OPEN_LOOP)]
        if args.worlds:
            rows = _drives(args, study, rules, show)
            document["closed loop"] = to_json(rows, CLOSED_LOOP)
            text += [f"## Closed loop, {args.worlds} worlds", "", markdown(rows, CLOSED_LOOP)]
    write_whole(args.out / NUMBERS_FILE, json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_whole(args.out / TABLE_FILE, "\n".join(text))
    print("\n".join(text))
    return 0


def _held_out(word: str) -> HeldOut:
    """Raises ConfigurationError for a word of another form."""
    from distilldrive_ros.training.claims.measuring import HeldOut

    name, equals, place = word.partition("=")
    folder, colon, version = place.rpartition(":")
    if not (name and equals and folder and colon and version) or "/" in name:
        raise ConfigurationError(f"--held-out {word}: must be NAME=DIR:VERSION, such as val=out/val:v1.0-world")
    return HeldOut(name, Path(folder), version)


def _drives(
    args: argparse.Namespace, study: Study, rules: dict[str, DrivingModel], show: Callable[[str], object]
) -> Rows:
    from distilldrive_ros.evaluation.closed_loop.batch import EXPERT, BatchSettings
    from distilldrive_ros.training.claims.measuring import closed_loop
    from distilldrive_ros.training.claims.study import STUDENTS
    from distilldrive_ros.worlds.driving.closed_loop import DrivingSettings
    from distilldrive_ros.worlds.driving.world_source import GeneratedWorlds

    models: dict[str, DrivingModel | None] = {EXPERT: None, **rules}
    for kind in STUDENTS:
        for seed in study.seeds:
            preset = study.config(kind, seed).model.student
            models[f"{kind}/{seed}"] = load_model(preset, ModelRequest(study.weights(kind, seed), args.device))
    driving = DrivingSettings()
    worlds = GeneratedWorlds(args.world_seed, args.worlds, (), driving.time_limit_s)
    return closed_loop(worlds, models, BatchSettings(driving), show)
