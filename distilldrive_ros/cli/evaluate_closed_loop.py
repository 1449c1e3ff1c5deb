"""`distilldrive evaluate --closed-loop`: models drive through generated or recorded worlds, in this process."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from distilldrive_ros.cli.replay_settings import limit_threads
from distilldrive_ros.evaluation.closed_loop.batch import EXPERT, BatchResult, BatchSettings, ModelDrives, run_batch
from distilldrive_ros.evaluation.closed_loop.page import closed_loop_html
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.registry import MODELS, ModelRequest, load_model
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.worlds.driving.closed_loop import DrivingSettings
from distilldrive_ros.worlds.driving.following import FOLLOWERS
from distilldrive_ros.worlds.driving.recorded_worlds import choose_worlds
from distilldrive_ros.worlds.driving.world_source import GeneratedWorlds

EXIT_PARTIAL = 1
# Generated worlds where nobody says how many.
GENERATED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of closed loop to those of `evaluate`."""
    group = parser.add_argument_group(
        "closed loop",
        f"needs the engines of `make setup-world`; --model {EXPERT} is the privileged driver of the worlds",
    )
    group.add_argument("--closed-loop", action="store_true", help="drive through worlds instead of bags")
    group.add_argument(
        "--scenes",
        type=int,
        metavar="N",
        help=f"generated worlds, of seeds --seed on ({GENERATED}); with --dataroot: the first of its scenes (all)",
    )
    group.add_argument(
        "--dataroot",
        type=Path,
        metavar="DIR",
        help="drive through the recorded scenes of this nuScenes-schema root, tables and maps; traffic replays the log",
    )
    group.add_argument("--version", default="v1.0-mini", help="with --dataroot: folder of the tables (%(default)s)")
    group.add_argument(
        "--scene", action="append", default=[], metavar="NAME", help="with --dataroot: this scene; may be repeated"
    )
    group.add_argument(
        "--kinds", nargs="+", default=[], metavar="KIND", help="kinds of scenarios (default: all in turn)"
    )
    group.add_argument("--image-width", type=int, default=704, metavar="PX", help="of the cameras (%(default)s)")
    group.add_argument("--route-length", type=float, default=150.0, metavar="M", help="to the goal (%(default)s)")
    group.add_argument("--time-limit", type=float, default=40.0, metavar="S", help="of a drive (%(default)s)")
    group.add_argument("--follower", default="pure_pursuit", choices=list(FOLLOWERS), help="(%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Drive, print the main numbers, write what was asked for.

    Raises:
        DistillDriveError: no world can be made, or a model or a number is wrong; the message says why.
    """
    if args.bags or args.plans:
        raise ConfigurationError("--closed-loop drives through worlds; leave bags and --plans out")
    if (args.scenes is not None and args.scenes < 1) or not 32 <= args.image_width <= 3840:
        raise ConfigurationError("--scenes must be 1 or more, --image-width 32 to 3840")
    limit_threads(args.threads)
    driving = DrivingSettings(follower=args.follower, time_limit_s=args.time_limit, route_m=args.route_length)
    worlds = choose_worlds(
        lambda: GeneratedWorlds(args.seed, args.scenes or GENERATED, args.kinds, args.time_limit),
        args.dataroot, args.version, args.scene, args.scenes, args.kinds,
    )  # fmt: skip
    models = _models(args.model, args.device)
    total = len(worlds) * len(models)
    with tqdm(total=total, unit="drive", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(words: str) -> None:
            bar.set_description(words)
            bar.update()

        result = run_batch(worlds, models, BatchSettings(driving, args.image_width, args.seed), show)
    command, facts = "distilldrive evaluate " + shlex.join(sys.argv[2:]), machine_facts()
    if args.json is not None:
        document = {**result.to_json(), "command": command, "machine": facts}
        write_whole(args.json, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if args.html is not None:
        title = "Closed loop: " + ", ".join(m.name for m in result.models)
        write_whole(args.html, closed_loop_html(result, title, command, facts))
    _say(result)
    return EXIT_PARTIAL if result.left_out else 0


def _models(words: list[str], device: str) -> dict[str, DrivingModel | None]:
    """Loaded models by the words that named them; None is the expert.

    Raises:
        ConfigurationError: none, an unknown name, or one given twice.
    """
    if not words:
        raise ConfigurationError(f"nothing to evaluate; give --model ({', '.join((*MODELS, EXPERT))})")
    if len(set(words)) != len(words):
        raise ConfigurationError("--model names the same model twice; name each once, or give different weights")
    models: dict[str, DrivingModel | None] = {}
    for word in words:
        name, _, weights = word.partition("=")
        request = ModelRequest(Path(weights) if weights else None, device)
        models[word] = None if word == EXPERT else load_model(name, request)
    return models


def _say(result: BatchResult) -> None:
    for model in result.models:
        for drive in model.results:
            print(f"{model.name}: {drive.sentence}")
    for model in result.models:
        print(_line(model))
        if not model.trained:
            print(f"note: {model.name}: the weights are untrained; these numbers mean nothing")
    for world, reason in result.left_out.items():
        print(f"left out {world}: {reason}", file=sys.stderr)


def _line(model: ModelDrives) -> str:
    found = model.summary
    if not found["drives"]:
        return f"{model.name}: no drive"
    per_km = "–" if found["collisions_per_km"] is None else f"{found['collisions_per_km']:.2f}"
    score, extended = (
        f"{100 * found[name]['score']:.1f}" if found[name] else "–" for name in ("scores", "extended_scores")
    )
    comfort = f"{100 * found['scores']['comfort']:.1f}" if found["scores"] else "–"
    return (
        f"{model.name}: route completion {100 * found['route_completion']:.1f} %, {per_km} collisions per km "
        f"({found['collisions']}, {found['collisions_at_fault']} at fault), off the road "
        f"{100 * (found['off_road_share'] or 0.0):.1f} % of the time, {found['red_lights_run']} of "
        f"{found['lights_passed']} lights run red, comfort {comfort} %, PDMS {score}, EPDMS {extended} "
        f"over {found['drives']} drives ({found['windows']} windows)"
    )
