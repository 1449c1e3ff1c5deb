"""Conversion of many scenes: choice, restart, several processes, and what to tell the user."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.bags.convert import SceneReport, convert_scene
from distilldrive_ros.bags.topics import MAP
from distilldrive_ros.datasets.map_expansion import MapExpansion, open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.records import Scene


@dataclass(frozen=True)
class ConversionSettings:
    """What a run converts and how."""

    dataroot: Path
    version: str
    out: Path
    force: bool = False
    sweeps: bool = True
    jobs: int = 1


class _Converter:
    """The open root with the maps used so far; forked into each worker, so that tables are read once."""

    def __init__(self, settings: ConversionSettings) -> None:
        self.settings = settings
        self.nuscenes = NuScenes(settings.dataroot, settings.version)
        self._maps: dict[str, MapExpansion | None] = {}

    def expansion(self, location: str) -> MapExpansion | None:
        if location not in self._maps:
            self._maps[location] = open_map(self.nuscenes.dataroot, location)
        return self._maps[location]

    def convert(self, scene: Scene, progress: Callable[[int], object] = lambda key_frames: None) -> SceneReport:
        settings = self.settings
        return convert_scene(
            self.nuscenes, scene, settings.out / scene.name, self.expansion(scene.location),
            force=settings.force, sweeps=settings.sweeps, progress=progress,
        )  # fmt: skip


# Set in the parent before it forks; workers find it in their copy of the memory.
_shared: _Converter | None = None


def _convert_in_worker(name: str) -> SceneReport:
    assert _shared is not None
    return _shared.convert(_shared.nuscenes.scene(name))


class DatasetConversion:
    """A run over scenes of one root."""

    def __init__(self, settings: ConversionSettings, scene_names: Sequence[str] = ()) -> None:
        """Open the root and choose the scenes; all by default.

        Raises:
            DatasetError: no such root, version or scene.
        """
        self.settings = settings
        self._converter = _Converter(settings)
        nuscenes = self._converter.nuscenes
        self.scenes = [nuscenes.scene(n) for n in dict.fromkeys(scene_names)] or list(nuscenes.scenes)

    @property
    def key_frames(self) -> int:
        """Key frames of all chosen scenes: the length of a progress bar."""
        return sum(s.num_samples for s in self.scenes)

    def run(self, progress: Callable[[int], object] = lambda key_frames: None) -> Iterator[SceneReport]:
        """Convert; give each scene's report when it is done. Scenes that were finished before are only reported.

        Args:
            progress: called with the number of key frames done since the last call.

        Raises:
            DatasetError, BagError: of the first scene that fails; those done stay, a further run goes on from there.
        """
        if self.settings.jobs <= 1 or len(self.scenes) <= 1:
            for scene in self.scenes:
                report = self._converter.convert(scene, progress)
                if report.already_there:
                    progress(scene.num_samples)
                yield report
            return
        yield from self._run_in_processes(progress)

    def _run_in_processes(self, progress: Callable[[int], object]) -> Iterator[SceneReport]:
        global _shared  # the one way to hand tables of gigabytes to forked workers without a copy
        self._converter.nuscenes.read_tables()
        _shared = self._converter
        try:
            with ProcessPoolExecutor(self.settings.jobs, multiprocessing.get_context("fork")) as pool:
                waiting = {pool.submit(_convert_in_worker, s.name): s for s in self.scenes}
                try:
                    for done in as_completed(waiting):
                        progress(waiting[done].num_samples)
                        yield done.result()
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)
        finally:
            _shared = None


def notices(reports: Sequence[SceneReport]) -> list[str]:
    """What a user should know of a run, each said once for all scenes."""
    said = []
    there = [r.scene_name for r in reports if r.already_there]
    if there:
        said.append(f"converted before, left as they are: {', '.join(there)} (--force converts them again)")
    fresh = [r for r in reports if not r.already_there]
    missing = sum((Counter(r.missing) for r in fresh), Counter[str]())
    if missing:
        counted = ", ".join(f"{channel} {count}" for channel, count in sorted(missing.items()))
        said.append(f"files named in the tables but not there, left out: {counted}")
    places = sorted({r.location or "an unnamed place" for r in fresh if not r.has_map})
    if places:
        said.append(f"no map expansion (maps/expansion/<location>.json) for {', '.join(places)}: no {MAP}")
    sensors = sum((Counter(r.left_out_sensors) for r in fresh), Counter[str]())
    if sensors:
        said.append(f"sensors that are not converted: {', '.join(sorted(sensors))}")
    boxes = sum((Counter(r.left_out_boxes) for r in fresh), Counter[str]())
    if boxes:
        counted = ", ".join(f"{category} {count}" for category, count in sorted(boxes.items()))
        said.append(f"boxes outside the ten detection classes, left out: {counted}")
    short = sum(r.short_commands for r in fresh)
    if short:
        said.append(f"driving commands read from less than 3 s ahead, at the end of scenes: {short}")
    unknown = sum(r.unknown_velocities for r in fresh)
    if unknown:
        said.append(f"odometry messages without a velocity (too few poses): {unknown}, marked by a variance of 1e6")
    return said
