"""The drive of a demo: a generated world, a drawn scene, or a scene of the user's data set; as a bag."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

import distilldrive_ros.datasets.demo_scene as demo_scene_package
import distilldrive_ros.datasets.nuscenes_writer as nuscenes_writer_package
import distilldrive_ros.worlds as worlds_package
from distilldrive_ros.bags.convert import SceneReport
from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import SCENE_NAME, VERSION
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import DatasetError, WorldError
from distilldrive_ros.worlds.dataset.making import WorldMaking, WorldOrder
from distilldrive_ros.worlds.dataset.root import VERSION as WORLD_VERSION
from distilldrive_ros.worlds.dataset.schedule import KEY_FRAMES_ONLY
from distilldrive_ros.worlds.scenarios.scenario import ScenarioKind
from distilldrive_ros.worlds.sumo import sumo_program

SCENE_SEED = 1
WORLD_SEED, WORLD_SPLIT = 6, "train"
WORLD_KINDS = (ScenarioKind.FOUR_WAY_PRIORITY,)
KEY_FRAME_PERIOD_S = 0.5


@dataclass(frozen=True)
class Drive:
    """A scene of a data set root.

    `description`: where its sensor data comes from, in words for the report. `world_seed`: of the generated world.
    """

    dataroot: Path
    version: str
    scene: str
    description: str
    world_seed: int | None = None


def missing_engines() -> str:
    """Why no world can be generated here, or ""."""
    try:
        sumo_program("sumo")
    except WorldError as error:
        return str(error)
    if importlib.util.find_spec("panda3d") is None:
        return "the renderer needs Panda3D, which is not installed; run `make setup-world`"
    return ""


def world_drive(cache: Path, options: DemoSceneOptions, fresh: bool = False) -> Drive:
    """A generated world with traffic, driven by the expert, its sensors rendered; made anew as `demo_drive`.

    Raises:
        WorldError: an engine failed.
        DatasetError: the cache cannot be written to.
    """
    packages = [nuscenes_writer_package, worlds_package]
    root = cache / f"world-{_fingerprint(options, packages)}"
    seconds = max(2, options.key_frames) * KEY_FRAME_PERIOD_S
    order = WorldOrder(WORLD_SEED, options.width, seconds, KEY_FRAMES_ONLY, WORLD_KINDS)
    making = WorldMaking(root, order, WORLD_SPLIT, 1, 1)
    with _one_scene(cache, "world-*", root, fresh):
        with tqdm(total=1.0, desc="world", bar_format="{desc}: {percentage:3.0f}%|{bar}|",
                  disable=not sys.stderr.isatty(), leave=False) as bar:  # fmt: skip
            report = making.run(bar.update, lambda words: None)
        if report.failures:
            raise WorldError(f"the world of the demo cannot be made: {report.failures[0]}")
    description = (
        "Generated world: streets and traffic by SUMO, pictures and LiDAR sweeps rendered by this program, driven by "
        "the privileged expert. No real sensor data."
    )
    return Drive(root, WORLD_VERSION, making.jobs[0].name, description, making.jobs[0].seed)


@contextmanager
def _one_scene(cache: Path, pattern: str, root: Path, fresh: bool) -> Iterator[None]:
    """What is made in `root` meanwhile is the only one of its kind in the cache.

    Raises:
        DatasetError: the cache cannot be written to.
    """
    try:
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
        yield
        for outdated in cache.glob(pattern):
            if outdated != root:
                shutil.rmtree(outdated, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"cannot make the demo scene at {root}: {error.strerror}; choose another --out") from error


def demo_drive(cache: Path, options: DemoSceneOptions, fresh: bool = False) -> Drive:
    """The drawn scene, made anew where the cache does not hold it; the cache keeps one scene.

    Raises:
        DatasetError: the cache cannot be written to.
    """
    root = cache / f"scene-{_fingerprint(options, [demo_scene_package, nuscenes_writer_package])}"
    with _one_scene(cache, "scene-*", root, fresh):
        if not root.exists():
            _make(root, options)
    description = (
        "Made-up demo scene, a short drive along a town street: pictures painted and LiDAR sweeps cast by this "
        "program. No real sensor data."
    )
    return Drive(root, VERSION, SCENE_NAME, description)


def _make(root: Path, options: DemoSceneOptions) -> None:
    with tqdm(desc="scene", unit="file", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        make_demo_scene(root, np.random.default_rng(SCENE_SEED), options, show)


def _fingerprint(options: DemoSceneOptions, packages: Sequence[ModuleType]) -> str:
    """Changes with the options and with every line of the code that makes the scene."""
    digest = hashlib.sha256(f"{SCENE_SEED} {sorted(asdict(options).items())}".encode())
    for package in packages:
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def dataset_drive(dataroot: Path, version: str, scene: str | None) -> Drive:
    """A scene of a data set; the first one where none is named.

    Raises:
        DatasetError: root, tables or scene are not there.
    """
    nuscenes = NuScenes(dataroot, version)
    if scene is not None:
        return Drive(dataroot, version, nuscenes.scene(scene).name, f"{scene} of {version} in {dataroot.name}")
    if not nuscenes.scenes:
        raise DatasetError(f"{dataroot / version} has no scene; choose another --dataroot or --version")
    name = nuscenes.scenes[0].name
    return Drive(dataroot, version, name, f"{name} of {version} in {dataroot.name}")


def convert_drive(drive: Drive, folder: Path) -> tuple[Path, SceneReport]:
    """The drive's key frames as a bag below `folder`, made anew.

    Raises:
        DatasetError: the data set lacks the files that the graph needs.
        BagError: the bag cannot be written.
    """
    settings = ConversionSettings(drive.dataroot, drive.version, folder, force=True, sweeps=False)
    conversion = DatasetConversion(settings, [drive.scene])
    with tqdm(
        total=conversion.key_frames, desc="bag", unit="key frame", disable=not sys.stderr.isatty(), leave=False
    ) as bar:
        (report,) = list(conversion.run(bar.update))
    if report.missing:
        missing = ", ".join(f"{count} of {channel}" for channel, count in sorted(report.missing.items()))
        raise DatasetError(
            f"{drive.scene} in {drive.dataroot} lacks files ({missing}); the graph needs six cameras and the LiDAR at "
            "every key frame: complete the data set, or leave --dataroot out for the made-up scene"
        )
    return folder / drive.scene, report
