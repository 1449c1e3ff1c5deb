"""What is generated and built: our messages, and the stand-in for `tf2_msgs` with the original's wire type."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.interfaces import TF2_MSGS_FILES, write_tf2_msgs


def cmake_arguments(repository: Path, command: str) -> list[str]:
    text = re.sub(r"#.*", "", (repository / "CMakeLists.txt").read_text())
    match = re.search(rf"\b{command}\(([^)]*)\)", text)
    assert match is not None, command
    return match[1].split()


def test_cmake_lists_every_message_and_no_other(repository: Path) -> None:
    arguments = cmake_arguments(repository, "rosidl_generate_interfaces")
    listed = [a.strip('"') for a in arguments if a.endswith('.msg"')]
    assert listed == sorted(f"msg/{path.name}" for path in (repository / "msg").glob("*.msg"))


def test_cmake_depends_on_the_packages_that_the_messages_use(repository: Path) -> None:
    arguments = cmake_arguments(repository, "rosidl_generate_interfaces")
    declared = set(arguments[arguments.index("DEPENDENCIES") + 1 :])
    used = set()
    for path in (repository / "msg").glob("*.msg"):
        used |= set(re.findall(r"^([a-z][a-z0-9_]*)/", path.read_text(), re.MULTILINE))
    assert declared == used | {"builtin_interfaces"}
    text = (repository / "CMakeLists.txt").read_text()
    assert all(f"find_package({package} REQUIRED)" in text for package in declared)


def test_tf2_sources_are_written_once(tmp_path: Path) -> None:
    write_tf2_msgs(tmp_path / "source")
    stamps = {name: (tmp_path / "source" / name).stat().st_mtime_ns for name in TF2_MSGS_FILES}
    write_tf2_msgs(tmp_path / "source")
    assert {name: (tmp_path / "source" / name).stat().st_mtime_ns for name in TF2_MSGS_FILES} == stamps


def test_tf_on_the_wire_is_the_real_type() -> None:
    # The hash is what two ROS 2 processes compare before they talk; rosbags knows the original definition.
    description = Path(sys.prefix) / "share" / "tf2_msgs" / "msg" / "TFMessage.json"
    if not description.is_file():
        pytest.skip("tf2_msgs is not built into this environment")
    from rosbags.typesys import Stores, get_typestore

    built = {entry["type_name"]: entry["hash_string"] for entry in json.loads(description.read_text())["type_hashes"]}
    store = get_typestore(Stores.ROS2_KILTED)
    for name in ("tf2_msgs/msg/TFMessage", "geometry_msgs/msg/TransformStamped", "std_msgs/msg/Header"):
        assert built[name] == store.hash_rihs01(name)


def test_built_messages_are_those_of_the_checkout(repository: Path, ros_domain: int) -> None:
    import distilldrive_ros.msg

    built = {name for name in vars(distilldrive_ros.msg) if name[0].isupper()}
    assert built == {path.stem for path in (repository / "msg").glob("*.msg")}
