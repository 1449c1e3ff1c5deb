"""`distilldrive evaluate`: models side by side over converted bags, with the numbers of the papers."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distilldrive_ros.cli import evaluate_closed_loop
from distilldrive_ros.cli.replay_settings import add_replay_arguments, frame_settings, limit_threads
from distilldrive_ros.evaluation.open_loop.evaluation import Evaluation, ModelEvaluation, SceneModel, evaluate
from distilldrive_ros.evaluation.report.comparison import comparison_html
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.registry import CROSS_VALIDATED, MODELS, ModelRequest, load_fold, load_model
from distilldrive_ros.scene.errors import ConfigurationError

EXIT_PARTIAL = 1


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare models over bags: open-loop metrics, tables, worst cases",
        description="Replays converted bags through each model in this process and scores the plans against the way "
        "really driven and the annotated road users. Exit code 1: some bags had to be left out.",
    )
    parser.add_argument("bags", type=Path, nargs="*", metavar="BAG", help="made by `distilldrive convert`")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME[=FILE]",
        help=f"one of {', '.join(MODELS)}, with its checkpoint (of {CROSS_VALIDATED} also the folder that "
        "`crossvalidate` left); give it again to compare",
    )  # fmt: skip
    parser.add_argument(
        "--plans", action="append", default=[], metavar="NAME=BAG[,BAG...]",
        help="recorded plans as one more column: of the recorder, or plans.mcap of `distilldrive replay`",
    )  # fmt: skip
    parser.add_argument("--all-sets", action="store_true", help="plan at every sweep, not only at key frames")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap over scenes (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page with tables and pictures")
    add_replay_arguments(parser)
    evaluate_closed_loop.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the main table, write what was asked for.

    Raises:
        DistillDriveError: no bag can be used, or a model or the rig is wrong; the message says why.
    """
    if args.closed_loop:
        return evaluate_closed_loop.run(args)
    if not args.bags:
        raise ConfigurationError("no bag to evaluate on; give bags made by `distilldrive convert`, or --closed-loop")
    limit_threads(args.threads)
    names = [word.partition("=")[0] for word in args.model]
    frames = frame_settings(args.rig, not args.all_sets, [name for name in names if name in MODELS])
    recorded = _recorded(args.plans)
    models, folds = _models(args.model, args.device, args.precision)
    if not models and not folds and not recorded:
        raise ConfigurationError(f"nothing to evaluate; give --model ({', '.join(MODELS)}) or --plans NAME=BAG")
    total = len(args.bags) * (len(models) + len(folds) + len(recorded))
    with tqdm(total=total, unit="replay", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(words: str) -> None:
            bar.set_description(words)
            bar.update()

        result = evaluate(
            args.bags, models, frames, folds=folds, recorded=recorded, generator_seed=args.seed, progress=show
        )
    command = "distilldrive evaluate " + shlex.join(sys.argv[2:] or [str(b) for b in args.bags])
    facts = machine_facts()
    if args.json is not None:
        document = {**result.to_json(), "command": command, "machine": facts}
        write_whole(args.json, json.dumps(document, indent=2) + "\n")
    if args.html is not None:
        title = "Open loop: " + ", ".join(m.name for m in result.models)
        write_whole(args.html, comparison_html(result, title, command, facts))
    _say(result)
    return EXIT_PARTIAL if result.left_out else 0


def _recorded(words: list[str]) -> dict[str, list[Path]]:
    """Bags of plans by column.

    Raises:
        ConfigurationError: no name, no bag, or a name given twice.
    """
    recorded: dict[str, list[Path]] = {}
    for word in words:
        name, _, paths = word.partition("=")
        if not name or not paths or name in recorded or name in MODELS:
            raise ConfigurationError(f"--plans {word}: must be NAME=BAG, each name once, and none that of a model")
        recorded[name] = [Path(path) for path in paths.split(",")]
    return recorded


def _models(words: list[str], device: str, precision: str) -> tuple[dict[str, DrivingModel], dict[str, SceneModel]]:
    """Loaded models by the words that named them, and those with weights for each scene.

    Raises:
        ConfigurationError: an unknown name, or one given twice.
    """
    if len(set(words)) != len(words):
        raise ConfigurationError("--model names the same model twice; name each once, or give different weights")
    models: dict[str, DrivingModel] = {}
    folds: dict[str, SceneModel] = {}
    for word in words:
        name, _, weights = word.partition("=")
        if name == CROSS_VALIDATED and Path(weights).is_dir() and weights:
            folds[word] = partial(load_fold, Path(weights))
            continue
        request = ModelRequest(Path(weights) if weights else None, device, precision=precision)
        models[word] = load_model(name, request)
    return models, folds


def _say(result: Evaluation) -> None:
    for model in result.models:
        print(_line(model))
        for note in model.notes:
            print(f"note: {model.name}: {note}")
    for path, reason in result.left_out.items():
        print(f"left out {path}: {reason}", file=sys.stderr)


def _line(model: ModelEvaluation) -> str:
    summary = model.summary
    table = summary.tables["stp3_vad"]
    l2 = "/".join(f"{table['l2_m'][h].mean:.2f}" for h in ("1s", "2s", "3s", "avg"))
    hits = "/".join(f"{100 * table['collision'][h].mean:.2f}" for h in ("1s", "2s", "3s", "avg"))
    return (
        f"{model.name}: L2 {l2} m, collision {hits} % at 1/2/3 s and on average (stp3_vad), "
        f"{summary.scored} of {summary.key_frames} key frames in {summary.scenes} scenes"
    )
