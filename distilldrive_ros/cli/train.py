"""`distilldrive train`: anchors, then the stages of the networks, on a nuScenes-schema root."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distilldrive_ros.cli import train_claims
from distilldrive_ros.cli.train_values import overrides
from distilldrive_ros.scene.errors import ConfigurationError

STAGES = {
    "teacher": "stage 0: the teacher, from annotations alone",
    "perception": "stage 1: backbone, depth, boxes and map, from images",
    "student": "stage 2: the whole student, with the teacher at its side",
    "diffusiondrive": "imitation stage of the camera+LiDAR model, on request with the teacher at its side",
}
SHOWN_SKIPS = 5


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="train the networks on a nuScenes-schema root, by stages",
        description="Train on a data set in the nuScenes schema, real or made. Several processes: "
        "`torchrun --nproc-per-node N -m distilldrive_ros.cli.main train ...`. Needs the extra `train`.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    anchors = actions.add_parser(
        "anchors", help="cluster where the networks start from", description="K-means anchors."
    )
    anchors.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder with the tables")
    anchors.add_argument("--version", default="v1.0-mini", help="folder of the tables (default: %(default)s)")
    anchors.add_argument("--scene", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    anchors.add_argument("--model", default="student", metavar="PRESET", help="whose sizes (default: %(default)s)")
    anchors.add_argument("--out", type=Path, required=True, metavar="F.npz", help="file to be written")
    anchors.add_argument("--seed", type=int, default=0, help="of the clustering (default: %(default)s)")
    anchors.add_argument("--cache", type=Path, default=Path("out/train/cache"), help="default: %(default)s")
    anchors.set_defaults(run=run_anchors)
    for name, summary in STAGES.items():
        stage = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        _add_stage_arguments(stage)
        stage.set_defaults(run=run_stage)
    train_claims.add_parser(actions)
    export = actions.add_parser("export", help="weights for driving alone", description="Leave out training's own.")
    export.add_argument("--weights", type=Path, required=True, metavar="FILE", help="weights.safetensors of a training")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors file to be written")
    export.add_argument(
        "--size", choices=["whole", "half", "small"], default="whole",
        help="half: 16 bits per number; small: convolutions in 8 (default: %(default)s)",
    )  # fmt: skip
    export.set_defaults(run=run_export)


def _add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="such as those of config/train/")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoints, logs and weights go there")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of --out")
    parser.add_argument("--dataroot", metavar="DIR", help="instead of data.dataroot of the file")
    parser.add_argument("--version", help="instead of data.version of the file")
    parser.add_argument("--device", help="instead of run.device of the file: auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any value of the file, such as run.seed=1"
    )


def run_anchors(args: argparse.Namespace) -> int:
    """Cluster and write.

    Raises:
        DistillDriveError: the data set cannot be read, the preset is unknown, or the file cannot be written.
    """
    # Imported here: torch takes seconds, and `--help` needs none.
    from distilldrive_ros.models.distilldrive.config import preset
    from distilldrive_ros.training.anchors.anchor_file import write_anchors
    from distilldrive_ros.training.anchors.clustering import cluster_anchors
    from distilldrive_ros.training.targets.scene_files import load_or_make_targets

    config = preset(args.model)
    with _counting_scenes() as show:
        scenes = load_or_make_targets(args.dataroot, args.version, args.scene, config.cameras, args.cache, show)
    anchors = cluster_anchors(scenes, config, args.seed)
    write_anchors(args.out, anchors)
    for note in anchors.notes:
        print(f"note: {note}")
    frames = sum(scene.key_frames for scene in scenes)
    print(f"anchors of {config.name} from {frames} key frames of {len(scenes)} scene(s) written to {args.out}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write the smaller file.

    Raises:
        DistillDriveError: the weights cannot be read, or the file cannot be written.
    """
    from distilldrive_ros.training.trainer.export import Size, export_weights

    report = export_weights(args.weights, args.out, Size(args.size))
    print(
        f"{report.kept} entries in {report.size / 1e6:.1f} MB written to {args.out} ({report.digest}); "
        f"{report.left_out} of training alone left out"
    )
    return 0


def run_stage(args: argparse.Namespace) -> int:
    """Train a stage.

    Raises:
        DistillDriveError: the configuration, the data set, a checkpoint or the disk; the message says what helps.
    """
    from distilldrive_ros.training.trainer.checkpoints import WEIGHTS_FILE
    from distilldrive_ros.training.trainer.config_file import read_config
    from distilldrive_ros.training.trainer.held_out import BEST_WEIGHTS_FILE
    from distilldrive_ros.training.trainer.training import train

    config = read_config(args.config, _overrides(args))
    if config.stage != args.action:
        raise ConfigurationError(f"{args.config} is of stage {config.stage}; call `distilldrive train {config.stage}`")
    with _counting_scenes() as show:
        result = train(config, args.out, args.resume, show)
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"{result.iterations} iterations, loss {result.loss:.4f}; weights in {args.out / WEIGHTS_FILE}")
        if config.run.held_out_interval:
            print(f"those with the lowest loss on the frames held out are in {args.out / BEST_WEIGHTS_FILE}")
        for note in result.skipped[:SHOWN_SKIPS]:
            print(f"note: frame left out: {note}")
        if len(result.skipped) > SHOWN_SKIPS:
            print(f"note: {len(result.skipped)} frames were left out in all")
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, object]:
    named = {"data.dataroot": args.dataroot, "data.version": args.version, "run.device": args.device}
    return {**overrides(args.set), **{name: value for name, value in named.items() if value is not None}}


@contextmanager
def _counting_scenes() -> Iterator[Any]:
    """A bar that counts scenes as their targets become ready."""
    with tqdm(desc="targets", unit="scene", disable=not sys.stderr.isatty(), leave=False) as bar:
        yield lambda name: bar.update()
