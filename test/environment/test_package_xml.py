"""`package.xml`: valid, complete, and in step with what the code imports."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

# Keys outside ROS packages, as in rosdistro's rosdep/python.yaml.
SYSTEM_KEYS = {
    "python3-hypothesis", "python3-numpy", "python3-pil", "python3-pytest", "python3-pytest-timeout",
    "python3-rosbags-pip", "python3-scipy", "python3-shapely", "python3-torch", "python3-tqdm", "python3-yaml",
}  # fmt: skip
# Released in Humble, Jazzy, Kilted, Lyrical and Rolling.
ROS_KEYS = {
    "ament_cmake", "ament_cmake_pytest", "ament_cmake_python", "ament_index_python", "builtin_interfaces", "cv_bridge",
    "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros", "lifecycle_msgs", "message_filters", "nav_msgs",
    "rcl_interfaces", "rclpy", "ros2launch", "rosgraph_msgs", "rosidl_default_generators", "rosidl_default_runtime",
    "sensor_msgs", "std_msgs", "std_srvs", "tf2_msgs", "tf2_ros", "tf2_ros_py", "tf_transformations",
    "visualization_msgs",
}  # fmt: skip
IMPORT_TO_KEY = {
    "numpy": "python3-numpy",
    "PIL": "python3-pil",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "shapely": "python3-shapely",
    "torch": "python3-torch",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
    **{name: name for name in ROS_KEYS},
}


@pytest.fixture(scope="module")
def manifest(repository: Path) -> ET.Element:
    return ET.parse(repository / "package.xml").getroot()


def dependencies(manifest: ET.Element, *kinds: str) -> set[str]:
    return {element.text or "" for element in manifest if element.tag in kinds}


def test_it_is_a_valid_package_of_format_3(repository: Path, manifest: ET.Element) -> None:
    parser = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")
    warnings: list[str] = []
    package = parser.parse_package(str(repository / "package.xml"), warnings=warnings)
    assert warnings == []
    assert package.package_format == 3
    assert package.licenses == ["Apache-2.0"]
    assert package.get_build_type() == "ament_cmake"
    assert [group.name for group in package.member_of_groups] == ["rosidl_interface_packages"]


def test_every_key_is_known_to_rosdep(manifest: ET.Element) -> None:
    kinds = ("depend", "build_depend", "buildtool_depend", "exec_depend", "test_depend")
    assert dependencies(manifest, *kinds) <= SYSTEM_KEYS | ROS_KEYS


def test_what_is_imported_is_declared(repository: Path, manifest: ET.Element) -> None:
    declared = dependencies(manifest, "depend", "exec_depend")
    missing = set()
    for path in [*(repository / "distilldrive_ros").rglob("*.py"), *(repository / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in (n.split(".")[0] for n in names):
                if name in IMPORT_TO_KEY and IMPORT_TO_KEY[name] not in declared:
                    missing.add(f"{path.name} imports {name}")
    assert missing == set()


def test_version_and_licence_agree_with_the_other_files(repository: Path, manifest: ET.Element) -> None:
    version = manifest.findtext("version")
    match = re.search(r'version="([^"]+)"', (repository / "setup.py").read_text())
    assert match is not None
    assert match[1] == version
    licence = (repository / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert len(licence) > 11000
