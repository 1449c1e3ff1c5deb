"""Makes the demo scene: a data set root in the nuScenes v1.0 schema, all of it computed here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.ground import Ground, make_noise
from distilldrive_ros.datasets.demo_scene.lidar import NO_OWNER, Sweep, cast_sweep
from distilldrive_ros.datasets.demo_scene.map_layers import map_expansion, map_raster
from distilldrive_ros.datasets.demo_scene.painter import Placement, paint
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, IMAGE_HEIGHT, IMAGE_WIDTH, LIDAR_CHANNEL, base_from_lidar
from distilldrive_ros.datasets.demo_scene.road import Road, demo_road
from distilldrive_ros.datasets.demo_scene.scene_tables import LOCATION, SCENE_NAME, VERSION, demo_tables
from distilldrive_ros.datasets.demo_scene.scenery import place_scenery
from distilldrive_ros.datasets.demo_scene.traffic import EGO_LANE_D, Actor, ego_s, place_traffic
from distilldrive_ros.datasets.demo_scene.view import View
from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneTables, write_json
from distilldrive_ros.datasets.nuscenes_writer.taxonomy import visibility_token
from distilldrive_ros.geometry.boxes import points_in_box
from distilldrive_ros.geometry.poses import planar_pose, transform_points
from distilldrive_ros.scene.errors import DatasetError

Array = NDArray[np.float64]

START_US = 1_767_268_800_000_000
KEY_FRAME_PERIOD_US = 500_000
ANNOTATED_WITHIN_M = 80.0
SCENERY_INTENSITY, ACTOR_INTENSITY = 18.0, 42.0
DESCRIPTION = "Made-up town street: a pedestrian crosses, oncoming cars wait, parked cars, a cyclist"


@dataclass(frozen=True)
class DemoSceneOptions:
    """`key_frames` at 2 Hz; `sweeps_per_gap` sets between two key frames; images `width` x 9/16 `width` pixels."""

    key_frames: int = 12
    sweeps_per_gap: int = 0
    width: int = IMAGE_WIDTH
    jpeg_quality: int = 88
    workers: int = 2

    def __post_init__(self) -> None:
        """Refuse what makes no scene.

        Raises:
            ValueError: a number is out of its range.
        """
        if self.key_frames < 1 or self.sweeps_per_gap < 0 or self.workers < 1:
            raise ValueError("a demo scene needs key_frames >= 1, sweeps_per_gap >= 0, workers >= 1")
        if not 160 <= self.width <= IMAGE_WIDTH:
            raise ValueError(f"image width {self.width} px is not within 160 to {IMAGE_WIDTH}")

    @property
    def height(self) -> int:
        """Image height, px."""
        return self.width * IMAGE_HEIGHT // IMAGE_WIDTH


@dataclass(frozen=True)
class DemoScene:
    """Where the data set lies and what to ask the reader for."""

    root: Path
    version: str
    scene_name: str
    images: int
    sweeps: int


@dataclass(frozen=True)
class _World:
    road: Road
    ground: Ground
    scenery: list[Placement]
    actors: list[Actor]

    def placements(self, time: float) -> list[Placement]:
        """Everything that stands in the world at a time, in seconds of the scene."""
        return self.scenery + [Placement(actor.solid, *actor.pose(self.road, time)) for actor in self.actors]

    def ego_pose(self, time: float) -> Array:
        """base_link to world."""
        s = ego_s(time)
        x, y = self.road.point(s, EGO_LANE_D)
        return planar_pose(x, y, self.road.pose(s)[2])


@dataclass(frozen=True)
class _Set:
    """One turn of all sensors: the key frame it belongs to (or leads up to) and its LiDAR stamp."""

    sample: int
    key_frame: bool
    stamp_us: int


Progress = Callable[[int, int], None]


def make_demo_scene(
    root: Path, rng: np.random.Generator, options: DemoSceneOptions | None = None, progress: Progress | None = None
) -> DemoScene:
    """Make the scene in a new folder `root`; equal generators give equal bytes. `progress(done, total)` counts files.

    Raises:
        DatasetError: the folder exists already.
    """
    chosen = options or DemoSceneOptions()
    if root.exists():
        raise DatasetError(f"{root} exists already; remove it or name another folder")
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        counts = _fill(building, rng, chosen, progress)
        building.chmod(0o755)
        building.rename(root)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return DemoScene(root, VERSION, SCENE_NAME, *counts)


def build_world(rng: np.random.Generator) -> _World:
    """Road, scenery and traffic drawn from a generator."""
    road = demo_road()
    scenery = [Placement(*placed) for placed in place_scenery(road, rng)]
    return _World(road, Ground(road, make_noise(rng)), scenery, place_traffic(rng))


def _fill(
    root: Path, rng: np.random.Generator, options: DemoSceneOptions, progress: Progress | None
) -> tuple[int, int]:
    world_rng, stamp_rng, lidar_rng, salt_rng = rng.spawn(4)
    world = build_world(world_rng)
    sets = _sensor_sets(options, stamp_rng)
    tables = demo_tables(salt_rng.bytes(8).hex(), DESCRIPTION, (options.width, options.height))
    tables.add_samples([s.stamp_us for s in sets if s.key_frame])
    jobs = _plan_files(root, world, tables, sets, options, lidar_rng)
    for channel in (*(mount.channel for mount in CAMERAS), LIDAR_CHANNEL):
        for folder in {"samples", "sweeps"} if options.sweeps_per_gap else {"samples"}:
            (root / folder / channel).mkdir(parents=True)
    sweeps: dict[int, Sweep] = {}
    with ThreadPoolExecutor(options.workers) as pool:
        for done, (sample, sweep) in enumerate(pool.map(lambda job: job(), jobs), start=1):
            if sweep is not None and sample is not None:
                sweeps[sample] = sweep
            if progress is not None:
                progress(done, len(jobs))
    _annotate(world, tables, [s for s in sets if s.key_frame], sweeps)
    tables.write(root / VERSION)
    write_json(
        root / "maps" / "expansion" / f"{LOCATION}.json", map_expansion(world.road, lambda n: tables.token(f"map/{n}"))
    )
    map_raster(world.road).save(root / tables.raster_file, optimize=False)
    return len(sets) * len(CAMERAS), len(sets)


def _sensor_sets(options: DemoSceneOptions, rng: np.random.Generator) -> list[_Set]:
    """Key frames about 0.5 s apart, as a real log has them, and even steps between."""
    jitter = rng.integers(-1500, 1501, options.key_frames)
    keys = [START_US + i * KEY_FRAME_PERIOD_US + int(jitter[i]) for i in range(options.key_frames)]
    sets = [_Set(0, True, keys[0])]
    for sample in range(1, len(keys)):
        gap = keys[sample] - keys[sample - 1]
        for k in range(1, options.sweeps_per_gap + 1):
            sets.append(_Set(sample, False, keys[sample - 1] + gap * k // (options.sweeps_per_gap + 1)))
        sets.append(_Set(sample, True, keys[sample]))
    return sets


Job = Callable[[], tuple[int | None, Sweep | None]]


def _plan_files(
    root: Path,
    world: _World,
    tables: SceneTables,
    sets: list[_Set],
    options: DemoSceneOptions,
    rng: np.random.Generator,
) -> list[Job]:
    """Enter every recording into the tables, and give the work that makes its file."""
    jobs: list[Job] = []
    for turn, lidar_rng in zip(sets, rng.spawn(len(sets)), strict=True):
        for mount in CAMERAS:
            stamp = turn.stamp_us - mount.lead_us
            pose = world.ego_pose(_seconds(stamp))
            file = root / tables.add_sensor_data(mount.channel, turn.sample, turn.key_frame, stamp, pose)
            view = View(mount.intrinsics(options.width), pose @ mount.base_from_camera, options.width, options.height)
            jobs.append(_image_job(file, view, world, _seconds(stamp), options.jpeg_quality))
        pose = world.ego_pose(_seconds(turn.stamp_us))
        file = root / tables.add_sensor_data(LIDAR_CHANNEL, turn.sample, turn.key_frame, turn.stamp_us, pose)
        jobs.append(_lidar_job(file, turn, pose @ base_from_lidar(), world, lidar_rng))
    return jobs


def _seconds(stamp_us: int) -> float:
    return (stamp_us - START_US) * 1e-6


def _image_job(file: Path, view: View, world: _World, time: float, quality: int) -> Job:
    def work() -> tuple[int | None, Sweep | None]:
        paint(view, world.ground, world.placements(time)).save(file, "JPEG", quality=quality)
        return None, None

    return work


def _lidar_job(file: Path, turn: _Set, world_from_lidar: Array, world: _World, rng: np.random.Generator) -> Job:
    def work() -> tuple[int | None, Sweep | None]:
        sweep = scan(world, _seconds(turn.stamp_us), world_from_lidar, rng)
        sweep.points.astype("<f4").tofile(file)
        return turn.sample if turn.key_frame else None, sweep

    return work


def scan(world: _World, time: float, world_from_lidar: Array, rng: np.random.Generator) -> Sweep:
    """The LiDAR's turn at a time; owners are indices into `world.actors`."""
    blocks, owners = [], []
    first_actor = len(world.scenery)
    for index, placement in enumerate(world.placements(time)):
        local = placement.solid.blocks.copy()
        local[:, :2] = transform_points(planar_pose(placement.x, placement.y, placement.yaw), local[:, :2])
        local[:, 6] += placement.yaw
        blocks.append(local)
        owners += [index - first_actor if index >= first_actor else NO_OWNER] * len(local)
    owner = np.array(owners, np.int64)
    reflectivity = np.where(owner == NO_OWNER, SCENERY_INTENSITY, ACTOR_INTENSITY)
    return cast_sweep(
        world_from_lidar, world.ground, np.concatenate(blocks), owner, reflectivity, len(world.actors), rng
    )


def _annotate(world: _World, tables: SceneTables, keys: list[_Set], sweeps: dict[int, Sweep]) -> None:
    """Boxes of all actors near the vehicle at every key frame, with their LiDAR returns counted."""
    for turn in keys:
        time = _seconds(turn.stamp_us)
        pose, sweep = world.ego_pose(time), sweeps[turn.sample]
        points = transform_points(pose @ base_from_lidar(), sweep.points[:, :3])
        for index, actor in enumerate(world.actors):
            box = actor.box(world.road, time)
            if np.hypot(*(box[:2] - pose[:2, 3])) > ANNOTATED_WITHIN_M:
                continue
            tables.add_annotation(
                turn.sample, actor.name, actor.category, actor.attribute(time),
                visibility_token(float(sweep.visible[index])), box, int(points_in_box(box, points).sum()),
            )  # fmt: skip
