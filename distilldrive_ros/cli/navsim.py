"""`distilldrive navsim`: planners drive recorded nuScenes scenes in pseudo closed loop; PDMS and EPDMS."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.bags.result_topics import PLANS_TOPIC
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.evaluation.navsim.planners import ModelPlanner, Planner, PlannerFactory, ReferencePlanner
from distilldrive_ros.evaluation.navsim.study import AGENTS, Study, run_study
from distilldrive_ros.evaluation.navsim.summary import PDMS_NAMES, Row
from distilldrive_ros.evaluation.recording import RecordedResults
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.navsim_page import navsim_html
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.models.baselines.model import KINDS, BaselineConfig, BaselineModel
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.registry import CROSS_VALIDATED, MODELS, ModelRequest, load_fold, load_model
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, CORRECTED
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError, ConfigurationError

REFERENCE = "pdm_closed"
DEFAULT_PLANNERS = (*KINDS, REFERENCE)
# Four seconds, so that nothing has to be extended.
RULE_STEPS = 8
SHOWN_EPDMS = ("LK", "HC", "EC", "EPDMS")
EXIT_PARTIAL = 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "navsim",
        help="drive recorded scenes in pseudo closed loop, score them as NAVSIM does",
        description="Let planners drive NAVSIM's vehicle through recorded nuScenes scenes and print the means of PDMS "
        "(v1) and EPDMS (v2) over all windows of 4 s, one per 0.5 s. pdm_closed is privileged: it sees the map and the "
        "objects. Networks need sensors, which are not simulated: `replay` the converted bags and give the plans with "
        "--plans; each is then driven from its recorded state. The recorded driver is scored beside them. Exit code 1: "
        "some scenes had to be left out.",
    )
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder with tables and maps/")
    parser.add_argument("--version", default="v1.0-mini", help="folder of the tables (default: %(default)s)")
    parser.add_argument(
        "--scene", action="append", default=[], metavar="NAME", help="only this scene; may be repeated (default: all)"
    )
    parser.add_argument(
        "--planner", action="append", default=[], metavar="NAME[=FILE]",
        help=f"a model without sensors, or {CROSS_VALIDATED}=DIR of `crossvalidate`; may be repeated (default: "
        f"{', '.join(DEFAULT_PLANNERS)})",
    )  # fmt: skip
    parser.add_argument(
        "--plans", action="append", default=[], metavar="NAME=BAG[,BAG...]", help="recorded plans, driven one by one"
    )
    parser.add_argument(
        "--agents", action="append", default=[], choices=AGENTS, help="how others move; may be repeated (default: both)"
    )
    parser.add_argument("--corrected", action="store_true", help="arithmetic as defined, not as NAVSIM released it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page with tables and pictures")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drive, score, print, write.

    Raises:
        DistillDriveError: data, models or bags cannot be used, or no scene can be scored; the message says why.
    """
    nuscenes = NuScenes(args.dataroot, args.version)
    scenes = [nuscenes.scene(name) for name in args.scene] or list(nuscenes.scenes)
    plans = dict(map(_recorded, args.plans))
    words = args.planner or (() if plans else DEFAULT_PLANNERS)
    planners = {word: planner_factory(word) for word in words}
    if len(plans) != len(args.plans) or len(planners) != len(words) or plans.keys() & planners.keys():
        raise ConfigurationError("--planner or --plans name the same column twice; name each once")
    agents = tuple(dict.fromkeys(args.agents)) or AGENTS
    untrained = [name for name, found in plans.items() if any(_is_untrained(p.model_id) for p in found.values())]
    untrained += [word for word in words if word == CROSS_VALIDATED]
    total = len(scenes) * (1 + len(planners) * len(agents) + len(plans))
    with tqdm(total=total, unit="drive", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(words: str) -> None:
            bar.set_description(words)
            bar.update()

        fidelity = CORRECTED if args.corrected else COMPATIBLE
        study = run_study(nuscenes, scenes, planners, plans, agents, fidelity, untrained, show)
    name = "corrected" if args.corrected else "compatible"
    _say(study, len(scenes))
    command, facts = "distilldrive navsim " + shlex.join(sys.argv[2:]), machine_facts()
    if args.json is not None:
        content = {"fidelity": name, **study.to_json(), "command": command, "machine": facts}
        write_whole(args.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    if args.html is not None:
        write_whole(args.html, navsim_html(study, name, command, facts))
    return EXIT_PARTIAL if study.left_out else 0


def planner_factory(word: str) -> PlannerFactory:
    """What drives under a name, or NAME=FILE.

    Raises:
        ConfigurationError: unknown, or a model that needs sensors.
        CheckpointError: the weights cannot be used.
    """
    name, _, weights = word.partition("=")
    if name == CROSS_VALIDATED and weights and Path(weights).is_dir():
        return lambda scene: ModelPlanner(load_fold(Path(weights), scene))
    if word == REFERENCE:
        return lambda scene: ReferencePlanner()
    if name not in MODELS:
        raise ConfigurationError(f"planner {name!r} is unknown; use one of {', '.join(MODELS)}")
    model: DrivingModel
    if word in KINDS:
        model = BaselineModel(BaselineConfig(word, RULE_STEPS))
    else:
        model = load_model(name, ModelRequest(Path(weights) if weights else None, "cpu"))
    ModelPlanner(model)  # refuses a model that needs sensors before anything is driven
    return partial(_fresh, model)


def _is_untrained(model_id: str) -> bool:
    return model_id.endswith("@untrained")


def _fresh(model: DrivingModel, scene: str) -> Planner:
    return ModelPlanner(model)


def _recorded(word: str) -> tuple[str, dict[int, PlanCandidates]]:
    """Plans by stamp of the bags behind a name.

    Raises:
        ConfigurationError: no name or no bag.
        BagError: a bag cannot be read, or holds no plan.
    """
    name, _, paths = word.partition("=")
    if not name or not paths:
        raise ConfigurationError(f"--plans {word}: must be NAME=BAG[,BAG...]")
    found: dict[int, PlanCandidates] = {}
    for path in paths.split(","):
        with open_bag(path) as bag:
            read = RecordedResults.read(bag).plans
        if not read:
            raise BagError(f"{path} holds no plans (no message of {PLANS_TOPIC}); record them, or use `replay`")
        found.update(read)
    return name, found


def _say(study: Study, scenes: int) -> None:
    print(f"mean over all windows of {scenes - len(study.left_out)} scene(s), in percent; LK to EPDMS: NAVSIM v2")
    width = max(len(row.planner) for row in study.total) + 1
    names = "".join(f"{name:>7}" for name in (*PDMS_NAMES, *SHOWN_EPDMS))
    print(f"{'planner':<{width}} {'others':<13}{'windows':>7}{names}")
    for row in study.total:
        print(f"{row.planner:<{width}} {row.agents:<13}{row.windows:>7}" + "".join(_cells(row)))
    for note in study.notes:
        print(f"note: {note}")
    for name, reason in study.left_out.items():
        print(f"left out {name}: {reason}", file=sys.stderr)


def _cells(row: Row) -> Sequence[str]:
    def cells(values: dict[str, float], names: Sequence[str]) -> list[str]:
        return [f"{100 * values[name]:7.1f}" if name in values else f"{'-':>7}" for name in names]

    return [*cells(row.pdms, tuple(PDMS_NAMES)), *cells(row.epdms, SHOWN_EPDMS)]
