"""Many scenes of one root: which are to be made, by whom, and what comes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.root import WorldRoot
from distilldrive_ros.worlds.dataset.scene_job import SceneJob
from distilldrive_ros.worlds.dataset.schedule import SensorRates
from distilldrive_ros.worlds.dataset.workers import run_jobs
from distilldrive_ros.worlds.scenarios.scenario import DURATIONS_S, ScenarioKind
from distilldrive_ros.worlds.sumo import sumo_program

# Scenes are named as nuScenes names its own (tools read the four digits), with numbers that those do not have.
FIRST_NUMBER = {"train": 2000, "val": 8000}
MOST_SCENES = {"train": 6000, "val": 2000}
WIDTHS = (160, 1600)
LARGEST_SEED = 99_999
# Scenarios of different roots and splits never share a seed.
SEEDS_PER_SPLIT = 8192


@dataclass(frozen=True)
class WorldOrder:
    """What all scenes of a root share. `kinds` empty: all of them. Images are `width` px wide, 16:9."""

    seed: int
    width: int
    duration_s: float
    rates: SensorRates
    kinds: tuple[ScenarioKind, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            WorldError: a number is out of its range.
        """
        shortest, longest = max(1.0, DURATIONS_S[0]), DURATIONS_S[1]
        for name, value, low, high in (
            ("seed", self.seed, 0, LARGEST_SEED),
            ("width", self.width, *WIDTHS),
            ("duration", self.duration_s, shortest, longest),
        ):
            if not low <= value <= high:
                raise WorldError(f"{name} is {value}; it must lie between {low} and {high}")

    def settings(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "seed": self.seed, "width": self.width, "duration_s": self.duration_s, **asdict(self.rates),
            "kinds": [kind.value for kind in self.kinds],
        }  # fmt: skip


@dataclass(frozen=True)
class SplitReport:
    """What a run did: reports of all scenes of the split that are there, how many were there before, what failed."""

    scenes: tuple[dict[str, Any], ...]
    already_there: int
    failures: tuple[str, ...]


class WorldMaking:
    """A run that makes scenes 0 to `count` - 1 of a split."""

    def __init__(self, out: Path, order: WorldOrder, split: str, count: int, workers: int) -> None:
        """Check the numbers; nothing is written yet.

        Raises:
            WorldError: more scenes than a split has numbers for.
        """
        if not 1 <= count <= MOST_SCENES[split]:
            raise WorldError(f"{count} scenes: split {split} takes 1 to {MOST_SCENES[split]}")
        self._root, self._order, self._split, self._workers = WorldRoot(out), order, split, workers
        self.jobs = [self._job(index) for index in range(count)]

    def run(
        self, advance: Callable[[float], object] = lambda share: None, said: Callable[[str], object] = print
    ) -> SplitReport:
        """Make what is missing, then the tables of the whole root.

        Args:
            advance: called with shares of scenes as they are done; in the end they add up to the number of scenes.
            said: called with lines for the user.

        Raises:
            WorldError: the folder cannot be used, an engine is missing, a process was killed, the disk is full.
        """
        # Panda3D is an extra: it is imported late, so that its absence is an error of this run alone.
        from distilldrive_ros.worlds.dataset.generated_scene import make_scene
        from distilldrive_ros.worlds.rendering.display import open_pipe

        sumo_program("sumo")
        _, display = open_pipe()
        said(f"cameras and LiDAR are drawn by {display.description}")
        with self._root.building(self._order.settings()):
            there = set(self._root.scenes())
            missing = [job for job in self.jobs if job.name not in there]
            advance(float(len(self.jobs) - len(missing)))
            failures = []
            for outcome in run_jobs(make_scene, missing, self._workers, advance):
                if outcome.failure:
                    failures.append(f"{outcome.job.name}: {outcome.failure}")
                else:
                    self._root.take(outcome.job.name)
                    said(f"{self._root.root}: {outcome.job.name}")
            reports = self._root.scenes()
            if not reports:
                raise WorldError(failures[0])
            self._root.merge({f"world_{split}": [n for n in reports if _split(n) == split] for split in FIRST_NUMBER})
        mine = tuple(reports[job.name] for job in self.jobs if job.name in reports)
        return SplitReport(mine, len(self.jobs) - len(missing), tuple(failures))

    def _job(self, index: int) -> SceneJob:
        order, split = self._order, self._split
        number = FIRST_NUMBER[split] + index
        settings = json.dumps(order.settings(), sort_keys=True)
        return SceneJob(
            name=f"scene-{number:04d}",
            number=number,
            split=split,
            seed=(2 * order.seed + list(FIRST_NUMBER).index(split)) * SEEDS_PER_SPLIT + index,
            salt=hashlib.sha256(f"{settings}/{number}".encode()).hexdigest(),
            staging=self._root.staging(f"scene-{number:04d}"),
            width=order.width,
            duration_s=order.duration_s,
            rates=order.rates,
            kinds=order.kinds,
        )


def _split(name: str) -> str:
    return "val" if int(name[-4:]) >= FIRST_NUMBER["val"] else "train"
