"""Tools run by the set-up: their output, their failures, and what of the surroundings they see."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.commands import ToolError, clean_environment, run_logged


def run_python(code: str, log: Path, seen: list[str] | None = None) -> None:
    run_logged([sys.executable, "-c", code], log, os.environ, (seen if seen is not None else []).append)


def test_output_goes_to_the_log_and_the_latest_line_to_progress(tmp_path: Path) -> None:
    log, seen = tmp_path / "log" / "tool.log", []
    code = "import sys, time\nprint('one')\nprint('two', file=sys.stderr, flush=True)\n"
    code += "time.sleep(0.7)\nprint('three', end='')"
    run_python(code, log, seen)
    assert {"one", "two", "three"} <= set(log.read_text().splitlines())
    assert "two" in seen


def test_a_failure_carries_status_tail_and_log(tmp_path: Path) -> None:
    code = "for i in range(100): print('line', i)\nraise SystemExit(3)"
    with pytest.raises(ToolError, match="status 3") as caught:
        run_python(code, tmp_path / "tool.log")
    lines = caught.value.tail.splitlines()
    assert lines[-1] == "line 99"
    assert len(lines) < 20
    assert "line 0" in caught.value.log.read_text()


def test_a_missing_tool_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no-such-tool"):
        run_logged(["no-such-tool"], tmp_path / "tool.log", os.environ, lambda line: None)


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    run_python(r"import sys; sys.stdout.buffer.write(b'\xff\xfe caf\xe9\n')", tmp_path / "tool.log")
    assert "caf" in (tmp_path / "tool.log").read_text(encoding="utf-8")


def test_a_tool_gets_no_standard_input(tmp_path: Path) -> None:
    run_python("import sys; assert sys.stdin.read() == ''", tmp_path / "tool.log")


def test_another_ros_is_kept_out(tmp_path: Path) -> None:
    base = {
        "PATH": "/usr/bin",
        "HOME": "/home/someone",
        "ROS_DISTRO": "jazzy",
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
        "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib:/usr/local/cuda/lib64:/v/lib/python3.11/site-packages/ros_rclpy.libs",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    env = clean_environment(tmp_path / "venv", base)
    assert env == {
        "PATH": f"{tmp_path}/venv/bin:/usr/bin",
        "HOME": "/home/someone",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "VIRTUAL_ENV": f"{tmp_path}/venv",
    }
    assert "LD_LIBRARY_PATH" not in clean_environment(tmp_path, {**base, "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib"})
