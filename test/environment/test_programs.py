"""The programs are the same everywhere: table, scripts, CMake, pip and launch files."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.programs import PROGRAMS, entry_point


def test_scripts_are_the_programs(repository: Path) -> None:
    scripts = {path.name: path for path in (repository / "scripts").iterdir() if path.is_file()}
    assert sorted(scripts) == sorted(PROGRAMS)
    for name, path in scripts.items():
        module, function = entry_point(name)
        expected = f"#!/usr/bin/env python3\nfrom {module} import {function}\n\nraise SystemExit({function}())\n"
        assert path.read_text() == expected
        assert os.access(path, os.X_OK), f"{path} is not executable"


def test_cmake_installs_the_programs(repository: Path) -> None:
    text = (repository / "CMakeLists.txt").read_text()
    match = re.search(r"install\(PROGRAMS\s+(.*?)\s+DESTINATION lib/\$\{PROJECT_NAME\}", text, re.DOTALL)
    assert match is not None
    assert match[1].split() == sorted(f"scripts/{name}" for name in PROGRAMS)


def test_pip_installs_the_programs(repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)],
        cwd=repository, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "distilldrive_ros.egg-info" / "entry_points.txt").read_text().splitlines()
    listed = dict(line.split(" = ") for line in lines if " = " in line)
    assert listed == PROGRAMS


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_program_has_its_function(program: str, ros_domain: int) -> None:
    module, function = entry_point(program)
    assert callable(getattr(importlib.import_module(module), function))


def test_launch_files_start_known_programs_only(repository: Path) -> None:
    started = set()
    for path in sorted((repository / "launch").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "executable" and isinstance(node.value, ast.Constant):
                started.add(node.value.value)
    assert started <= set(PROGRAMS), started - set(PROGRAMS)


@pytest.mark.slow
def test_pip_path_installs_module_and_data(source_copy: Path, tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source, prefix = source_copy, tmp_path / "prefix"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--ignore-installed", "--prefix", str(prefix), str(source)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    share = prefix / "share" / "distilldrive_ros"
    for top in ("msg", "config", "launch", "rviz"):
        wanted = {p.relative_to(source) for p in (source / top).rglob("*") if p.is_file()}
        installed = {p.relative_to(share) for p in (share / top).rglob("*") if p.is_file() and p.suffix != ".pyc"}
        assert installed == wanted
    assert {path.name for path in (prefix / "bin").iterdir()} >= set(PROGRAMS)
    (module,) = prefix.glob("lib/python3.*/site-packages/distilldrive_ros")
    sources = source / "distilldrive_ros"
    wanted = {p.relative_to(sources) for p in sources.rglob("*") if p.is_file()}
    installed = {p.relative_to(module) for p in module.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert installed == wanted
