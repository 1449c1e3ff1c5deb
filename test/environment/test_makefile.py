"""The Makefile's targets: each sets up first, and `make help` knows them all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def clean_environment() -> dict[str, str]:
    """Ours without what a `make test` around us has set: the makes here are nobody's children."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}


def make(repository: Path, *arguments: str) -> str:
    command = ["make", *arguments]
    done = subprocess.run(command, cwd=repository, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", '".venv/bin/distilldrive" demo --model x'),
        ("bench", '".venv/bin/distilldrive" bench --model x'),
        ("doctor", '".venv/bin/distilldrive" doctor --model x'),
        ("test", '".venv/bin/python" -m pytest --model x'),
        ("lint", '".venv/bin/python" -m mypy'),
    ],
)
def test_every_target_sets_up_first(repository: Path, target: str, command: str) -> None:
    lines = make(repository, "-n", target, "ARGS=--model x", "PYTHON=python3", "VENV=.venv").splitlines()
    assert lines[0].startswith('python3 distilldrive_ros/environment/install.py --venv ".venv"')
    assert ("--with-tests" in lines[0]) == (target in {"test", "lint"})
    assert lines[-1] == command


def test_help_names_every_target(repository: Path) -> None:
    text = (repository / "Makefile").read_text()
    match = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert match is not None
    shown = make(repository, "help")
    internal = {"help", "setup-tests"}
    assert [t for t in match[1].split() if t not in internal and f"make {t} " not in shown] == []


def test_a_sourced_ros_is_set_aside(repository: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_text("#!/bin/sh\necho PYTHONPATH=$PYTHONPATH AMENT=$AMENT_PREFIX_PATH DISTRO=$ROS_DISTRO\n")
    probe.chmod(0o755)
    sourced = {"PYTHONPATH": "/opt/ros/x", "AMENT_PREFIX_PATH": "/opt/ros/x", "ROS_DISTRO": "jazzy"}
    done = subprocess.run(
        ["make", "setup", f"PYTHON={probe}"],
        cwd=repository,
        env={**clean_environment(), **sourced},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "PYTHONPATH= AMENT= DISTRO="
