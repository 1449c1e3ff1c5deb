"""The drive of a demo: the made-up scene or a scene of the user's data set, as a bag."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import distilldrive_ros.datasets.demo_scene as demo_scene_package
import distilldrive_ros.datasets.nuscenes_writer as nuscenes_writer_package
from distilldrive_ros.bags.convert import SceneReport
from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import SCENE_NAME, VERSION
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import DatasetError

SCENE_SEED = 1


@dataclass(frozen=True)
class Drive:
    """A scene of a data set root; `made_up`: it is our own demo scene."""

    dataroot: Path
    version: str
    scene: str
    made_up: bool

    @property
    def description(self) -> str:
        """Where the sensor data comes from, in words for the report."""
        if self.made_up:
            return (
                "Made-up demo scene, a short drive along a town street: pictures painted and LiDAR sweeps cast by this "
                "program. No real sensor data."
            )
        return f"{self.scene} of {self.version} in {self.dataroot.name}"


def demo_drive(cache: Path, options: DemoSceneOptions, fresh: bool = False) -> Drive:
    """The made-up scene, made anew where the cache does not hold it; the cache keeps one scene.

    Raises:
        DatasetError: the cache cannot be written to.
    """
    root = cache / f"scene-{_fingerprint(options)}"
    try:
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            _make(root, options)
        for outdated in cache.glob("scene-*"):
            if outdated != root:
                shutil.rmtree(outdated, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"cannot make the demo scene at {root}: {error.strerror}; choose another --out") from error
    return Drive(root, VERSION, SCENE_NAME, True)


def _make(root: Path, options: DemoSceneOptions) -> None:
    with tqdm(desc="scene", unit="file", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        make_demo_scene(root, np.random.default_rng(SCENE_SEED), options, show)


def _fingerprint(options: DemoSceneOptions) -> str:
    """Changes with the options and with every line of the code that makes the scene."""
    digest = hashlib.sha256(f"{SCENE_SEED} {sorted(asdict(options).items())}".encode())
    for package in (demo_scene_package, nuscenes_writer_package):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def dataset_drive(dataroot: Path, version: str, scene: str | None) -> Drive:
    """A scene of a data set; the first one where none is named.

    Raises:
        DatasetError: root, tables or scene are not there.
    """
    nuscenes = NuScenes(dataroot, version)
    if scene is not None:
        return Drive(dataroot, version, nuscenes.scene(scene).name, False)
    if not nuscenes.scenes:
        raise DatasetError(f"{dataroot / version} has no scene; choose another --dataroot or --version")
    return Drive(dataroot, version, nuscenes.scenes[0].name, False)


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
