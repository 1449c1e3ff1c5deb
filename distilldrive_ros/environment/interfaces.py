"""The step that generates and compiles message packages into the environment's prefix, by CMake."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from distilldrive_ros.environment.commands import SetupStepError, ToolError, clean_environment, run_logged
from distilldrive_ros.environment.layout import PACKAGE, Layout

# Not among the wheels. Same name, same field as the original, so that /tf on the wire is the real type.
TF2_MSGS_FILES = {
    "msg/TFMessage.msg": "geometry_msgs/TransformStamped[] transforms\n",
    "package.xml": """<?xml version="1.0"?>
<package format="3">
  <name>tf2_msgs</name>
  <version>0.41.0</version>
  <description>The message of the topics /tf and /tf_static.</description>
  <maintainer email="maintainers@distilldrive-ros.org">distilldrive_ros developers</maintainer>
  <license>BSD</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>geometry_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
""",
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.16)
project(tf2_msgs)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(geometry_msgs REQUIRED)
rosidl_generate_interfaces(${PROJECT_NAME} "msg/TFMessage.msg" DEPENDENCIES geometry_msgs)
ament_export_dependencies(rosidl_default_runtime)
ament_package()
""",
}


def interface_inputs(layout: Layout) -> list[Path]:
    """Files that decide what our messages look like when built."""
    root = layout.root
    return [root / "CMakeLists.txt", root / "package.xml", *sorted((root / "msg").glob("*.msg"))]


def write_tf2_msgs(folder: Path) -> Path:
    """Writes the sources of the stand-in `tf2_msgs` package, leaving equal files untouched; returns `folder`."""
    for name, text in TF2_MSGS_FILES.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


def build_tf2_msgs(layout: Layout, progress: Callable[[str], None]) -> None:
    """Generates, compiles and installs `tf2_msgs` for the pip runtime."""
    _build(layout, "tf2_msgs", write_tf2_msgs(layout.build / "tf2_msgs_source"), progress)


def build_own_messages(layout: Layout, progress: Callable[[str], None]) -> None:
    """Generates, compiles and installs our `msg/`; messages that are gone are removed from the prefix."""
    _build(layout, PACKAGE, layout.root, progress)


def _build(layout: Layout, package: str, source: Path, progress: Callable[[str], None]) -> None:
    build = layout.build / package
    record = layout.stamps / f"{package}.installed"
    before = set(record.read_text().splitlines()) if record.is_file() else set()
    log = layout.logs / f"{package}.log"
    log.unlink(missing_ok=True)
    env = clean_environment(layout.venv, os.environ)
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(layout.venv)
    cmake = str(layout.venv / "bin" / "cmake")
    configure = [cmake, "-S", str(source), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={layout.venv}", f"-DCMAKE_MAKE_PROGRAM={layout.venv / 'bin' / 'ninja'}"]
    configure += [f"-DPython3_EXECUTABLE={layout.python}", "-DBUILD_TESTING=OFF"]
    if package == PACKAGE:
        configure.append("-DDISTILLDRIVE_LINK_CHECKOUT=ON")
    try:
        run_logged(configure, log, env, progress)
        run_logged([cmake, "--build", str(build), "--parallel", str(os.cpu_count() or 1)], log, env, progress)
        run_logged([cmake, "--install", str(build)], log, env, progress)
    except ToolError as error:
        raise SetupStepError(
            f"{_compiler_error(log) or error.tail}\nfull log: {log}",
            "correct the message definition if the log names one of msg/; else `make clean`, then again",
        ) from error
    manifest = (build / "install_manifest.txt").read_text()
    for stale in before - set(manifest.splitlines()):
        Path(stale).unlink(missing_ok=True)
    record.write_text(manifest)


def _compiler_error(log: Path) -> str:
    """The first error in a build log with a few lines of context, or an empty text."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for index, line in enumerate(lines):
        if "error:" in line.lower() or line.startswith("CMake Error"):
            return "\n".join(lines[index : index + 8])
    return ""
