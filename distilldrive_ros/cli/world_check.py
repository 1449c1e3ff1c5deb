"""`distilldrive world check`: lets the expert drive many generated scenes and says how well it does."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.scene.errors import ConfigurationError, WorldError
from distilldrive_ros.worlds.expert.trial import Trial, run_trial
from distilldrive_ros.worlds.scenarios.scenario import DURATION_S, Scenario, ScenarioKind, draw_scenario

EXIT_COLLISIONS = 1
# Scenes that are handed out ahead of the workers.
QUEUED = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "check",
        help="let the expert drive many scenes; collisions, comfort, balance of commands",
        description="Generate scenes, let the rule-based expert drive them, and print how many were free of "
        "collisions, how comfortable they were and which commands came up. Exit code 1: fewer than --least were free "
        "of collisions.",
    )
    parser.add_argument("--scenes", type=int, default=100, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the first one (default: %(default)s)")
    parser.add_argument(
        "--kinds", nargs="+", choices=[kind.value for kind in ScenarioKind], metavar="KIND",
        help="only these (default: all): " + ", ".join(kind.value for kind in ScenarioKind),
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=DURATION_S, help="length of a scene (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, metavar="W", help="processes (default: one per core)")
    parser.add_argument(
        "--least", type=float, default=0.98, help="share of scenes to be free of collisions (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all drives as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drive, print, write what was asked for.

    Raises:
        ConfigurationError: a number is out of its range.
        WorldError: a scene cannot be built, or the traffic engine is missing or failed.
    """
    if args.scenes < 1 or args.workers < 0 or not 0.0 <= args.least <= 1.0:
        raise ConfigurationError("--scenes must be 1 or more, --workers 0 or more, --least between 0 and 1")
    kinds = [ScenarioKind(value) for value in args.kinds] if args.kinds else None
    scenarios = [draw_scenario(args.seed + number, kinds, args.seconds) for number in range(args.scenes)]
    workers = min(args.workers or os.cpu_count() or 1, args.scenes)
    trials: list[Trial] = []
    with tqdm(total=args.scenes, unit="scene", disable=not sys.stderr.isatty(), leave=False) as bar:
        for trial in _drive(scenarios, workers):
            trials.append(trial)
            bar.update()
    trials.sort(key=lambda trial: int(trial.name.rsplit("-", 1)[1]))
    summary = summarise(trials)
    _say(summary, trials)
    if args.json is not None:
        document = {"summary": summary, "drives": [trial.to_json() for trial in trials]}
        write_whole(args.json, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return 0 if summary["collision_free"] >= args.least else EXIT_COLLISIONS


def summarise(trials: list[Trial]) -> dict[str, Any]:
    """Shares and means over drives."""
    windows = sum(trial.windows for trial in trials)
    commands: Counter[str] = Counter()
    discomfort: Counter[str] = Counter()
    for trial in trials:
        commands.update(trial.commands)
        discomfort.update(trial.discomfort)
    key_frames = sum(commands.values())
    return {
        "scenes": len(trials),
        "collision_free": sum(not trial.collisions for trial in trials) / len(trials),
        "hit_nobody": sum(all(hit.from_behind for hit in trial.collisions) for trial in trials) / len(trials),
        "off_road_scenes": sum(trial.off_road_steps > 0 for trial in trials),
        "lights_passed": sum(trial.lights_passed for trial in trials),
        "red_lights_run": sum(trial.red_lights_run for trial in trials),
        "kilometres": sum(trial.metres for trial in trials) / 1000,
        "mean_speed": sum(trial.metres for trial in trials) / sum(trial.seconds for trial in trials),
        "comfortable_windows": sum(trial.comfortable for trial in trials) / windows,
        "uncomfortable_windows": dict(discomfort),
        "hardest_braking": min(trial.hardest_braking for trial in trials),
        "routes": dict(Counter(trial.turn for trial in trials)),
        "key_frame_commands": {name: count / key_frames for name, count in sorted(commands.items())},
        "agents": float(np.mean([trial.agents for trial in trials])),
        "steps_per_second": float(np.median([trial.steps_per_second for trial in trials])),
    }


def _drive(scenarios: list[Scenario], workers: int) -> Iterator[Trial]:
    """Finished drives, in the order in which they end."""
    if workers == 1:
        yield from map(run_trial, scenarios)
        return
    # Started afresh: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: set[Future[Trial]] = set()
        try:
            for scenario in scenarios:
                waiting.add(pool.submit(run_trial, scenario))
                if len(waiting) >= workers + QUEUED:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            raise WorldError("a worker was killed; take fewer with --workers, or free memory") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _say(summary: dict[str, Any], trials: list[Trial]) -> None:
    for trial in trials:
        for hit in trial.collisions:
            how = "was hit from behind by" if hit.from_behind else "touched"
            print(f"{trial.name}: {how} {hit.category} at {hit.time_s:.1f} s, {hit.ego_speed:.1f} m/s")
        if trial.off_road_steps:
            print(f"{trial.name}: off the road for {trial.off_road_steps} steps")
        if trial.red_lights_run:
            print(f"{trial.name}: {trial.red_lights_run} red light(s) run")
    commands = ", ".join(f"{name} {share:.0%}" for name, share in summary["key_frame_commands"].items())
    routes = ", ".join(f"{name} {count}" for name, count in sorted(summary["routes"].items()))
    print(
        f"{summary['scenes']} scenes, {summary['kilometres']:.1f} km: {summary['collision_free']:.1%} free of "
        f"collisions ({summary['hit_nobody']:.1%} but for being hit from behind), "
        f"{summary['off_road_scenes']} off the road, {summary['red_lights_run']} of {summary['lights_passed']} "
        "traffic lights run red"
    )
    print(
        f"comfort {summary['comfortable_windows']:.1%} of windows, hardest braking {-summary['hardest_braking']:.1f} "
        f"m/s², mean speed {summary['mean_speed']:.1f} m/s, {summary['agents']:.0f} agents"
    )
    print(f"routes: {routes}; commands at key frames: {commands}; {summary['steps_per_second']:.0f} steps/s")
