"""What can be measured. A subject is a module of this folder with `measure(quick: bool) -> list[Measurement]`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from distilldrive_ros.bench.measure import Measurement, timed
from distilldrive_ros.scene.errors import ConfigurationError, DistillDriveError

# Module of this folder and what `--help` says of it.
SUBJECTS = {
    "sync": "synchroniser: cost per message with six cameras, LiDAR and odometry",
    "convert": "nuScenes to bag: throughput against a plain copy of the same files",
    "navsim": "NAVSIM simulator and scorers: 800 candidates of one scene",
    "replay": "deterministic replay of a bag with a baseline model against real time",
    "open_loop": "open-loop metrics of 6,019 key frames: time and memory",
    "aggregation": "deformable aggregation at full size: compiled op against plain torch",
    "student": "full-size and tiny student: seconds per frame by stage on this device",
    "diffusiondrive": "DiffusionDriveV2 and its small copy: seconds per frame by stage, engine against plain",
    "render": "driving worlds: sets of six pictures and LiDAR sweeps per second, 30 agents around the ego",
    "transport": "six cameras over Fast DDS, best effort, with and without the shared-memory profile",
}


@dataclass(frozen=True)
class SubjectResult:
    """What a subject yielded, and how long that took; `skipped`: why this machine cannot measure it, or ""."""

    name: str
    summary: str
    seconds: float
    measurements: tuple[Measurement, ...]
    skipped: str = ""


def run_subjects(
    names: Sequence[str], quick: bool = False, started: Callable[[str], object] = lambda name: None
) -> Iterator[SubjectResult]:
    """Measure the named subjects, or all if none is named. `quick` shows that it works; do not quote its numbers.

    Of all, those that cannot run here are skipped with the reason; a named one must run.

    Raises:
        ConfigurationError: a name is unknown.
        DistillDriveError: a named subject cannot run here.
    """
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        raise ConfigurationError(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    for name in names or SUBJECTS:
        started(name)
        found: list[Measurement] = []
        try:
            seconds = timed(lambda name=name, found=found: found.extend(_measure(name, quick)))  # type: ignore[misc]
        except DistillDriveError as error:
            if names:
                raise
            yield SubjectResult(name, SUBJECTS[name], 0.0, (), str(error))
        else:
            yield SubjectResult(name, SUBJECTS[name], seconds, tuple(found))


def _measure(name: str, quick: bool) -> list[Measurement]:
    module = importlib.import_module(f"distilldrive_ros.bench.{name}")
    found: list[Measurement] = module.measure(quick)
    return found
