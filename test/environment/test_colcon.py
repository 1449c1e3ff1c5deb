"""The same CMakeLists.txt under plain colcon: messages and module import together from the install space."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.commands import clean_environment
from distilldrive_ros.environment.programs import PROGRAMS

IMPORT_BOTH = """
import distilldrive_ros.environment.resources, distilldrive_ros.geometry.poses, distilldrive_ros.msg
print(distilldrive_ros.msg.__file__)
print(distilldrive_ros.geometry.poses.__file__)
print(distilldrive_ros.environment.resources.share_directory())
from rclpy.serialization import deserialize_message, serialize_message
from distilldrive_ros.msg import PathCandidates
print(deserialize_message(serialize_message(PathCandidates(model_id="there and back")), PathCandidates).model_id)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_colcon_build_in_a_scratch_workspace(source_copy: Path, tmp_path: Path) -> None:
    prefix = Path(sys.prefix)
    colcon = prefix / "bin" / "colcon"
    if not colcon.is_file() or not (prefix / "share" / "ament_cmake").is_dir():
        pytest.skip("needs the environment that `make test` sets up (colcon and the ROS wheels)")
    workspace = tmp_path / "ws"
    (workspace / "src").mkdir(parents=True)
    source = source_copy.rename(workspace / "src" / "distilldrive_ros")
    env = clean_environment(prefix, os.environ)
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(prefix)

    build = [str(colcon), "build", "--event-handlers", "console_direct+"]
    build += ["--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(build, cwd=workspace, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    install = workspace / "install" / "distilldrive_ros"
    sourced = f"source '{workspace}/install/setup.bash' && exec '{sys.executable}' -c \"$CODE\""
    done = subprocess.run(
        ["bash", "-c", sourced], cwd=tmp_path, env={**env, "CODE": IMPORT_BOTH}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    messages, geometry, share, echoed = done.stdout.splitlines()
    assert Path(messages).is_relative_to(install)
    assert Path(geometry).is_relative_to(install)
    assert Path(share) == install / "share" / "distilldrive_ros"
    assert echoed == "there and back"

    for program in PROGRAMS:
        assert os.access(install / "lib" / "distilldrive_ros" / program, os.X_OK)
    for top in ("launch", "config", "rviz"):
        wanted = {p.relative_to(source / top) for p in (source / top).rglob("*") if p.is_file()}
        installed = install / "share" / "distilldrive_ros" / top
        assert {p.relative_to(installed) for p in installed.rglob("*") if p.is_file()} == wanted
    assert (install / "share" / "ament_index" / "resource_index" / "packages" / "distilldrive_ros").is_file()
