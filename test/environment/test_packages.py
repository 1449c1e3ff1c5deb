"""Pinned requirements and the repair of the wheels' CMake files."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from distilldrive_ros.environment.commands import SetupStepError
from distilldrive_ros.environment.layout import Layout
from distilldrive_ros.environment.packages import repair_include_paths

PIN = re.compile(r"^([A-Za-z0-9._-]+)(\[[a-z]+\])?==([A-Za-z0-9.]+)(; python_version (<|>=) \"3\.11\")?$")
PARTS = ("", "-ros", "-build", "-world", "-train", "-export", "-test")
FILES = (*(f"requirements{part}.txt" for part in PARTS), "constraints.txt")


def pins(repository: Path, name: str) -> list[re.Match[str]]:
    lines = (repository / "distilldrive_ros" / "environment" / name).read_text().splitlines()
    matches = [(line, PIN.match(line)) for line in lines if line.strip() and not line.startswith("#")]
    assert [line for line, match in matches if match is None] == []
    return [match for _, match in matches if match is not None]


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_exactly_and_once_for_each_python(repository: Path, name: str) -> None:
    markers: dict[str, list[str | None]] = {}
    for match in pins(repository, name):
        markers.setdefault(match[1].lower(), []).append(match[5])
    whole = [[None], ["<", ">="], [">=", "<"]]
    of_some = [["<"], [">="]] if name == "constraints.txt" else []
    assert {package: found for package, found in markers.items() if found not in whole + of_some} == {}


def test_no_package_is_pinned_in_two_files(repository: Path) -> None:
    seen: dict[str, str] = {}
    for name in FILES:
        for package in {match[1].lower().replace("_", "-") for match in pins(repository, name)}:
            assert package not in seen, f"{package} in {seen.get(package)} and {name}"
            seen[package] = name


@pytest.mark.parametrize("name", FILES)
def test_pins_are_what_runs_here(repository: Path, name: str) -> None:
    pytest.importorskip("ros_wheels_bootstrapper", reason="not the environment that `make` sets up")
    applicable = (None, "<" if sys.version_info < (3, 11) else ">=")
    wrong = []
    for match in pins(repository, name):
        if match[5] not in applicable:
            continue
        installed = importlib.metadata.version(match[1])
        if installed.split("+")[0] != match[3]:
            wrong.append(f"{match[1]}: pinned {match[3]}, installed {installed}")
    assert wrong == []


BROKEN = """set_target_properties(x PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311-cp311/include/python3.11;\
/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"
  OTHER "/opt/python/cp311-cp311/share/left-alone")
"""


@pytest.fixture
def broken(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path, Path(".venv"))
    numpy_headers = layout.site_packages / "numpy" / "_core" / "include" / "numpy"
    numpy_headers.mkdir(parents=True)
    (numpy_headers / "arrayobject.h").touch()
    for package in ("std_msgs", "nav_msgs"):
        folder = layout.venv / "share" / package / "cmake"
        folder.mkdir(parents=True)
        (folder / "export.cmake").write_text(BROKEN)
        (folder / "other.cmake").write_text("set(x 1)\n")
    return layout


def test_include_paths_of_the_wheels_maker_become_ours(broken: Layout) -> None:
    assert repair_include_paths(broken) == 2
    text = (broken.venv / "share" / "nav_msgs" / "cmake" / "export.cmake").read_text()
    ours = f'"{sysconfig.get_path("include")};{broken.site_packages}/numpy/_core/include"'
    assert f"INTERFACE_INCLUDE_DIRECTORIES {ours}" in text
    assert "/opt/python/cp311-cp311/share/left-alone" in text
    assert repair_include_paths(broken) == 0


def test_missing_numpy_headers_are_said_now_and_not_by_cmake(broken: Layout) -> None:
    (broken.site_packages / "numpy" / "_core" / "include" / "numpy" / "arrayobject.h").unlink()
    with pytest.raises(SetupStepError, match="NumPy's headers"):
        repair_include_paths(broken)
