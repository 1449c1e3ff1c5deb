"""Targets of scenes kept in `.npz` files, so that the tables are read once and not at every start of a training."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import distilldrive_ros.datasets as datasets_package
import distilldrive_ros.training.targets as targets_package
from distilldrive_ros.datasets.map_expansion import MapExpansion, open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.training.targets.scene import SceneTargets, scene_targets
from distilldrive_ros.training.whole_files import write_whole_file

# The tables that targets are made of.
_TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sample_annotation", "instance", "log")


def load_or_make_targets(
    dataroot: Path,
    version: str,
    scenes: Sequence[str],
    cameras: Sequence[str],
    cache: Path,
    progress: Callable[[str], object] = lambda name: None,
) -> list[SceneTargets]:
    """Targets of the named scenes (none named: of all), from the cache where tables, cameras and code are the same.

    A file that is damaged is made again. Safe to be stopped at any moment, and to be run by several processes.

    Raises:
        DatasetError: root, tables or a scene are not there, or contradict themselves.
        StorageError: the cache cannot be written to.
    """
    nuscenes = NuScenes(dataroot, version)
    fingerprint = tables_fingerprint(nuscenes, list(cameras), (datasets_package, targets_package))
    folder = cache / f"targets-{fingerprint}"
    chosen = [nuscenes.scene(name) for name in scenes] if scenes else list(nuscenes.scenes)
    if not chosen:
        raise DatasetError(f"{dataroot / version} has no scene; choose another --dataroot or --version")
    maps: dict[str, MapExpansion | None] = {}
    found = []
    for scene in chosen:
        path = folder / f"{scene.name}.npz"
        targets = read_targets(path)
        if targets is None:
            if scene.location not in maps:
                maps[scene.location] = open_map(dataroot, scene.location)
            targets = scene_targets(nuscenes, scene, maps[scene.location], cameras)
            write_targets(path, targets)
        found.append(targets)
        progress(scene.name)
    return found


def write_targets(path: Path, targets: SceneTargets) -> None:
    """Write all arrays, whole or not at all. Raises StorageError where the disk does not take them."""
    arrays: dict[str, Any] = {item.name: np.asarray(getattr(targets, item.name)) for item in fields(targets)}
    write_whole_file(path, lambda stream: np.savez(stream, **arrays))


def read_targets(path: Path) -> SceneTargets | None:
    """Targets of a file; None where it is absent, damaged or of other fields."""
    names = [item.name for item in fields(SceneTargets)]
    try:
        with np.load(path, allow_pickle=False) as file:
            values: dict[str, Any] = {name: file[name] for name in names}
    except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile):
        return None
    values["name"], values["has_map"] = str(values["name"]), bool(values["has_map"])
    return SceneTargets(**values)


def tables_fingerprint(nuscenes: NuScenes, settings: object, packages: Sequence[ModuleType]) -> str:
    """Changes with the tables, maps and CAN bus files of a root (place, size and time), the settings (anything that
    JSON can hold), and the code of the packages: the name of what was worked out of them."""
    parts: list[object] = [str(nuscenes.dataroot.resolve()), nuscenes.version, settings]
    for path in [nuscenes.tables.path(table) for table in _TABLES]:
        parts.append(_stamp(path))
    for folder in ("maps/expansion", "can_bus"):
        parts += [(p.name, _stamp(p)) for p in sorted((nuscenes.dataroot / folder).glob("*.json"))]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for package in packages:
        for source in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
