"""Fixtures for all tests: shared reference data, and an isolated ROS 2 domain for every test process."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from distilldrive_ros.nodes.launching.domain import reserve_domain

# Developers' runs draw new examples every time; CI draws the same ones, so that a commit is green or red for good.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

REPOSITORY = Path(__file__).resolve().parents[1]


def _find_installed_messages() -> None:
    """Let the checkout's package find the generated `msg` of the installed one.

    Run from the checkout, `distilldrive_ros/` here shadows the installed package, which alone holds the generated
    messages; its top `__init__.py` stays empty, so the path is extended here.
    """
    import distilldrive_ros

    for entry in sys.path:
        installed = Path(entry) / "distilldrive_ros"
        if (installed / "msg").is_dir() and str(installed) not in distilldrive_ros.__path__:
            distilldrive_ros.__path__.append(str(installed))


_find_installed_messages()

# As the models do when they run: threads that spin while they wait starve the other processes of a node test.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Nobody else's graph, and nobody else hears ours: not that of a test run beside this one either.
_DOMAIN_ID = reserve_domain()
os.environ["ROS_DOMAIN_ID"] = str(_DOMAIN_ID)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference data that lies beside the checkout for developers and CI, never for users."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("reference data ../shared is not here (it lies beside the checkout for developers only)")
    return folder


@pytest.fixture(scope="session")
def distilldrive_golden(shared_dir: Path) -> Path:
    """Folder of the numbers recorded from the reference of DistillDrive."""
    return shared_dir / "golden" / "distilldrive"


@pytest.fixture(scope="session")
def distilldrive_rules(distilldrive_golden: Path) -> ModuleType:
    """The weight and input rules that came with those numbers."""
    return _load_module("distilldrive_golden_rules", distilldrive_golden / "weights.py")


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes the tiny data set, with the true numbers."""
    return _load_module("tiny_nuscenes", REPOSITORY / "test" / "datasets" / "tiny_nuscenes.py")


@pytest.fixture
def tiny_root(tiny: ModuleType, tmp_path: Path) -> object:
    """A fresh tiny data set that the test may damage."""
    return tiny.make_tiny_root(tmp_path / "root")


@pytest.fixture(scope="session")
def small_world() -> ModuleType:
    """The module of a world that needs no engine."""
    return _load_module("small_world", REPOSITORY / "test" / "worlds" / "small_world.py")


@pytest.fixture(scope="session")
def hand_made() -> ModuleType:
    """The module of a place written by hand, with a world that only moves on."""
    return _load_module("hand_made", REPOSITORY / "test" / "worlds" / "dataset" / "hand_made.py")


def _load_module(name: str, path: Path) -> ModuleType:
    """A module of a test folder by its place, once: test folders are no packages."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def ros_domain() -> int:
    """The ROS_DOMAIN_ID of this test process; skips where rclpy is not installed."""
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")
    return _DOMAIN_ID


@pytest.fixture
def ros_context(ros_domain: int) -> Iterator[object]:
    """A started rclpy context of its own, shut down after the test."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    yield context
    if context.ok():
        rclpy.shutdown(context=context)
