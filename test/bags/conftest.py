"""The tiny data set as a bag, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


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
