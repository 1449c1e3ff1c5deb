"""The tiny data set for the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    """Test folders are no packages; the module is loaded by its place and shared with `test/bags`."""
    name = "tiny_nuscenes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("tiny_nuscenes.py"))
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
