"""The tiny data set for the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    """Test folders are no packages; the module is loaded by its place and shared with `test/datasets`."""
    name = "tiny_nuscenes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "datasets/tiny_nuscenes.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes it, with the true numbers."""
    return _load()


@pytest.fixture
def tiny_root(tiny: ModuleType, tmp_path: Path) -> object:
    """A fresh tiny data set that the test may damage."""
    return tiny.make_tiny_root(tmp_path / "root")


@pytest.fixture(scope="session")
def converted(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    """The tiny data set and the bag of its scene-0001; nobody changes them."""
    from distilldrive_ros.bags.convert import convert_scene
    from distilldrive_ros.datasets.map_expansion import open_map
    from distilldrive_ros.datasets.nuscenes import NuScenes

    folder = tmp_path_factory.mktemp("converted")
    root = tiny.make_tiny_root(folder / "root")
    nuscenes = NuScenes(root.path, tiny.VERSION)
    scene = nuscenes.scene("scene-0001")
    convert_scene(nuscenes, scene, folder / "out" / scene.name, open_map(root.path, scene.location))
    return root, folder / "out" / scene.name
