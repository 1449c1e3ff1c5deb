"""The pip path: `pip install .` gives the Python module, its programs and its data files, without messages.

A ROS 2 build (`colcon build`) uses CMakeLists.txt and never reads this file; `make` uses neither. The nodes need the
messages, which only those two generate.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a build in isolation does not look here

from distilldrive_ros.environment.programs import PROGRAMS  # noqa: E402

PACKAGE = "distilldrive_ros"


def requirements(name: str) -> list[str]:
    """Lines of a requirement file, without comments."""
    lines = (ROOT / PACKAGE / "environment" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in (raw.split("#")[0].strip() for raw in lines) if line]


def data_files() -> list[tuple[str, list[str]]]:
    """Everything that a ROS package has under share/, where `share_directory()` looks for it."""
    target = Path("share") / PACKAGE
    folders = {str(target): ["package.xml"]}
    for top in ("config", "launch", "msg", "rviz"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                folders.setdefault(str(target / relative.parent), []).append(str(relative))
    return sorted(folders.items())


setup(
    name=PACKAGE,
    version="0.1.0",
    description="End-to-end driving on ROS 2: cameras and LiDAR in, scored multi-mode plans out",
    license="Apache-2.0",
    author="distilldrive_ros developers",
    author_email="maintainers@distilldrive-ros.org",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={"": ["*.txt", "*.css", "*.js", "csrc/*"]},
    data_files=data_files(),
    install_requires=requirements("requirements.txt"),
    extras_require={
        extra: requirements(f"requirements-{extra}.txt") for extra in ("ros", "world", "train", "export", "test")
    },
    entry_points={"console_scripts": [f"{name} = {target}" for name, target in PROGRAMS.items()]},
)
