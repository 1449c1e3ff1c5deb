"""The hand-made world for the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from distilldrive_ros.worlds.world import Place


@pytest.fixture(scope="session")
def hand_made() -> ModuleType:
    """The module that holds it; test folders are no packages, so it is loaded by its place."""
    name = "hand_made"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("hand_made.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def place(hand_made: ModuleType) -> Place:
    """The place."""
    made: Place = hand_made.hand_made_place()
    return made
