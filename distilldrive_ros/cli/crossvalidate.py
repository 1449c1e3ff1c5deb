"""`distilldrive crossvalidate`: train the ego-status network without each scene in turn, so that none is known."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from distilldrive_ros.cli.replay_settings import add_replay_arguments, frame_settings, limit_threads
from distilldrive_ros.evaluation.ego_samples import EgoSamples, read_ego_samples
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.scene.errors import ConfigurationError


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "crossvalidate",
        help="train the ego-status network ego_mlp without each scene in turn",
        description="Trains ego_mlp on all bags but one, for every bag; leaves DIR/without-SCENE.safetensors, which "
        "`evaluate --model ego_mlp=DIR` and `navsim --planner ego_mlp=DIR` use for that very scene. How long to train "
        "is decided without it, too. The same seed gives the same weights. Weights made from a data set fall under its "
        "licence (nuScenes: not for commercial use).",
    )
    parser.add_argument("bags", type=Path, nargs="+", metavar="BAG", help="made by `convert`, one scene each")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the weights")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=200, help="most passes over the samples (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write counts and distances as JSON")
    add_replay_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, train, write, print.

    Raises:
        DistillDriveError: a bag cannot be used, or there are less than two scenes; the message says why.
    """
    limit_threads(args.threads)
    # Imported here: `--help` must work where torch is not installed.
    from distilldrive_ros.models.ego_mlp.checkpoint import fold_path, serialised
    from distilldrive_ros.models.ego_mlp.fitting import FitSettings, fit
    from distilldrive_ros.models.ego_mlp.network import predicted

    settings = FitSettings(seed=args.seed, epochs=args.epochs)
    frames = frame_settings(args.rig, key_frames_only=True)
    scenes = [read_ego_samples(path, frames) for path in args.bags]
    names = [s.scene for s in scenes]
    if len(set(names)) != len(names):
        raise ConfigurationError("a scene is given twice, so that it would be trained on and scored; name each once")
    if len(scenes) < 2:
        raise ConfigurationError("cross-validation needs the bags of two or more scenes")
    rows = []
    for held_out in tqdm(scenes, unit="fold", disable=not sys.stderr.isatty(), leave=False):
        others = [s for s in scenes if s is not held_out]
        fitted = fit([(s.features, s.ways) for s in others], settings)
        path = fold_path(args.out, held_out.scene)
        write_whole(path, serialised(fitted.network, [s.scene for s in others]))
        distances = np.linalg.norm(predicted(fitted.network, held_out.features) - held_out.ways, axis=-1)
        rows.append(_row(held_out, others, fitted.epochs, distances))
        print(_line(rows[-1]))
    if args.json is not None:
        content = {"seed": args.seed, "epochs": args.epochs, "folds": rows}
        write_whole(args.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    return 0


def _row(
    held_out: EgoSamples, others: Sequence[EgoSamples], epochs: int, distances: NDArray[np.float32]
) -> dict[str, Any]:
    """What a fold was trained on and how far its points of the scene left out lie from the way driven, m."""
    return {
        "scene": held_out.scene,
        "trained_on": [s.scene for s in others],
        "epochs": epochs,
        "training_samples": sum(len(s.features) for s in others),
        "samples": len(distances),
        "within_3s_of_the_end": held_out.short,
        "mean_distance_m": float(distances.mean()) if len(distances) else None,
    }


def _line(row: dict[str, Any]) -> str:
    far = "no sample" if row["mean_distance_m"] is None else f"{row['mean_distance_m']:.2f} m from the way driven"
    return (
        f"{row['scene']}: {row['samples']} key frames, {far} on average; trained on {row['training_samples']} of "
        f"{len(row['trained_on'])} other scenes, epochs: {row['epochs']}"
    )
