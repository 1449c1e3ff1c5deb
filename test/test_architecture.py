"""The floors of the house: who may import whom (README, section "Inside")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Floor of every room; a room may import the floors below it.
ROOMS = {
    "geometry": 0,
    "scene": 1,
    "environment": 2,
    "sync": 2,
    "models": 2,
    "planning": 2,
    "datasets": 2,
    "visualization": 3,
    "bags": 3,
    "evaluation": 3,
    "training": 3,
    "worlds": 3,
    "nodes": 4,
    "cli": 5,
    "bench": 5,
}
ROS_PACKAGES = {
    "rclpy", "rcl_interfaces", "std_msgs", "std_srvs", "sensor_msgs", "nav_msgs", "geometry_msgs", "visualization_msgs",
    "diagnostic_msgs", "rosgraph_msgs", "builtin_interfaces", "lifecycle_msgs", "tf2_msgs", "tf2_ros", "cv_bridge",
    "message_filters", "tf_transformations", "launch", "launch_ros", "ament_index_python", "rosidl_runtime_py",
}  # fmt: skip
ROS_ROOMS = {"nodes", "cli", "bench", "environment"}
TORCH_ROOMS = {"models", "training", "nodes", "cli", "bench", "environment"}
# Rooms of one floor may not know each other, but for these.
SAME_FLOOR = {
    ("bench", "cli"), ("cli", "bench"), ("evaluation", "visualization"), ("evaluation", "bags"),
    ("evaluation", "worlds"),
    # The papers' claims are measured with our own evaluations.
    ("training", "evaluation"), ("training", "bags"), ("training", "worlds"),
    ("models", "environment"), ("models", "planning"),
}  # fmt: skip
MAX_LINES = 500


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def python_files(repository: Path) -> list[Path]:
    return sorted((repository / "distilldrive_ros").rglob("*.py"))


def test_every_room_has_a_floor(repository: Path) -> None:
    rooms = {p.name for p in (repository / "distilldrive_ros").iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert rooms == set(ROOMS)


def test_nobody_imports_upwards(repository: Path) -> None:
    wrong = []
    for path in python_files(repository):
        room = path.relative_to(repository / "distilldrive_ros").parts[0]
        if room == "__init__.py":
            continue
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] == "distilldrive_ros" and len(parts) > 1:
                other = parts[1]
                if other == "msg":
                    allowed = room in ROS_ROOMS
                else:
                    lower = ROOMS[other] < ROOMS[room]
                    allowed = other == room or lower or (room, other) in SAME_FLOOR
            elif parts[0] in ROS_PACKAGES:
                allowed = room in ROS_ROOMS
            elif parts[0] == "torch":
                allowed = room in TORCH_ROOMS
            else:
                allowed = True
            if not allowed:
                wrong.append(f"{path.relative_to(repository)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_top_init_is_empty(repository: Path) -> None:
    # rosidl installs a package of the same name: a non-empty one of ours would win or lose by its time stamp.
    assert (repository / "distilldrive_ros" / "__init__.py").read_text() == ""


@pytest.mark.parametrize("forbidden", ["msg", "srv", "action"])
def test_no_module_takes_the_name_of_generated_ones(repository: Path, forbidden: str) -> None:
    assert not list((repository / "distilldrive_ros").glob(f"{forbidden}*"))


def test_files_have_one_subject(repository: Path) -> None:
    long = {
        str(p.relative_to(repository)): n
        for p in python_files(repository)
        if (n := len(p.read_text().splitlines())) > MAX_LINES
    }
    assert not long
    vague = [p for p in python_files(repository) if p.stem in {"utils", "util", "common", "helpers", "misc"}]
    assert not vague


def test_nothing_is_unpickled(repository: Path) -> None:
    wrong = []
    for path in python_files(repository):
        for name, line in imports(path):
            if name.split(".")[0] in {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}:
                wrong.append(f"{path.relative_to(repository)}:{line} imports {name}")
        text = path.read_text()
        for call in ("yaml.load(", "yaml.unsafe_load", "allow_pickle=True", "weights_only=False"):
            if call in text:
                wrong.append(f"{path.relative_to(repository)} holds {call}")
    assert not wrong, "\n".join(wrong)
