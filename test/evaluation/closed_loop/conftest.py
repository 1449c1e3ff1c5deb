"""The worlds' tests' small world, for the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def small_world() -> ModuleType:
    """The module `small_world.py` of the worlds' tests."""
    name = "small_world"
    if name not in sys.modules:
        path = Path(__file__).parents[2] / "worlds" / "small_world.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
