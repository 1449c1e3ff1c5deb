"""`distilldrive navsim`: planners drive recorded nuScenes scenes in pseudo closed loop; PDMS of what they drove."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.evaluation.navsim.closed_loop import (
    PLANNERS,
    SUB_SCORES,
    drive,
    mean_scores,
    recorded_drive,
    score_rollout,
)
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, CORRECTED
from distilldrive_ros.planning.pdm.pdms import PdmsScores

AGENTS = ("log", "reactive")
RECORDED = "recorded"
SHORT = dict(zip(SUB_SCORES, ("NC", "DAC", "DDC", "EP", "TTC", "C", "PDMS"), strict=True))


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "navsim",
        help="drive recorded scenes in pseudo closed loop, score them as NAVSIM does",
        description="Let planners drive NAVSIM's vehicle through recorded nuScenes scenes and print the mean PDMS of "
        "all windows of 4 s, one per 0.5 s. pdm_closed is privileged: it sees the map and the objects. "
        "The recorded driver is scored beside them.",
    )
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder with tables and maps/")
    parser.add_argument("--version", default="v1.0-mini", help="folder of the tables (default: %(default)s)")
    parser.add_argument(
        "--scene", action="append", default=[], metavar="NAME", help="only this scene; may be repeated (default: all)"
    )
    parser.add_argument(
        "--planner", action="append", default=[], choices=tuple(PLANNERS), help="may be repeated (default: all)"
    )
    parser.add_argument(
        "--agents", action="append", default=[], choices=AGENTS, help="how others move; may be repeated (default: both)"
    )
    parser.add_argument("--corrected", action="store_true", help="arithmetic as defined, not as NAVSIM released it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drive, score, print, write.

    Raises:
        DatasetError: the data set cannot be read.
        ScoringError: a scene has no map or no route, or no scene is long enough.
    """
    nuscenes = NuScenes(args.dataroot, args.version)
    scenes = [nuscenes.scene(name) for name in args.scene] or list(nuscenes.scenes)
    fidelity = CORRECTED if args.corrected else COMPATIBLE
    runs = [(RECORDED, "log")]
    runs += [(planner, agents) for planner in args.planner or PLANNERS for agents in args.agents or AGENTS]
    windows: dict[tuple[str, str], list[PdmsScores]] = defaultdict(list)
    by_scene = []
    with tqdm(total=len(scenes) * len(runs), unit="drive", disable=not sys.stderr.isatty(), leave=False) as bar:
        for scene in scenes:
            worlds = SceneWorlds(nuscenes, scene)
            for planner, agents in runs:
                if planner == RECORDED:
                    rollout = recorded_drive(worlds)
                else:
                    rollout = drive(worlds, PLANNERS[planner], agents == "reactive", fidelity)
                scored = score_rollout(worlds, rollout, fidelity)
                windows[planner, agents] += scored
                by_scene.append({"scene": worlds.name, **_row(planner, agents, scored)})
                bar.update()
    if not windows[runs[0]]:
        raise ScoringError("no scene is 5 s long, so there is no window to be scored; take longer scenes")
    total = [_row(planner, agents, windows[planner, agents]) for planner, agents in runs]
    _say(total, len(scenes))
    for short in sorted({row["scene"] for row in by_scene if not row["windows"]}):
        print(f"note: {short} is shorter than 5 s and adds no window")
    if args.json is not None:
        content = {"fidelity": "corrected" if args.corrected else "compatible", "total": total, "scenes": by_scene}
        write_whole(args.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    return 0


def _row(planner: str, agents: str, windows: list[PdmsScores]) -> dict[str, Any]:
    scores = {SHORT[name]: value for name, value in mean_scores(windows).items()} if windows else {}
    return {"planner": planner, "agents": agents, "windows": len(windows), **scores}


def _say(rows: list[dict[str, Any]], scenes: int) -> None:
    print(f"mean over all windows of {scenes} scene(s), in percent")
    print(f"{'planner':<18} {'agents':<9} {'windows':>7}" + "".join(f"{name:>7}" for name in SHORT.values()))
    for row in rows:
        values = "".join(f"{100 * row[name]:7.1f}" for name in SHORT.values())
        print(f"{row['planner']:<18} {row['agents']:<9} {row['windows']:>7}{values}")
