"""What the machine itself must bring; asked before the first step that has something to do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

FREE_BYTES_NEEDED = 3 * 1024**3


@dataclass(frozen=True)
class Complaint:
    """Something the machine lacks, and what to type about it."""

    cause: str
    remedy: str


def find_compilers() -> tuple[str | None, str | None]:
    """Paths of the C and C++ compiler: `$CC` and `$CXX` if set, else the first usual name on PATH."""
    c_names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    cxx_names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]

    def first(names: list[str]) -> str | None:
        return next((path for name in names if name and (path := shutil.which(name.split()[0]))), None)

    return first(c_names), first(cxx_names)


def find_nvcc() -> str | None:
    """Path of the CUDA compiler: below `$CUDA_HOME`, on PATH, or in the usual place."""
    home = os.environ.get("CUDA_HOME")
    found = shutil.which("nvcc")
    places = [Path(home) / "bin" / "nvcc"] if home else []
    places += ([Path(found)] if found else []) + [Path("/usr/local/cuda/bin/nvcc")]
    return next((str(path) for path in places if path.is_file()), None)


def machine_complaints(folder: Path) -> list[Complaint]:
    """Everything that would stop the set-up below `folder`; empty if the machine will do."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    complaints = []
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in {("Linux", "x86_64"), ("Linux", "AMD64")}:
        complaints.append(
            Complaint(
                f"the ROS wheels exist for Linux on x86-64; this is {system} on {machine}",
                "install ROS 2 and build this package with `colcon build` instead",
            )
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        complaints.append(
            Complaint(
                f"Python {version} lacks the modules venv and ensurepip",
                f"`sudo apt-get install python{version}-venv`, or another interpreter: `make PYTHON=...`",
            )
        )
    if None in find_compilers():
        complaints.append(
            Complaint("no C and C++ compiler (the messages are compiled)", "`sudo apt-get install build-essential`")
        )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        complaints.append(
            Complaint(
                f"{header} is missing (the messages are compiled against it)",
                f"`sudo apt-get install python{version}-dev`, or another interpreter: `make PYTHON=...`",
            )
        )
    existing = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if free < FREE_BYTES_NEEDED:
        complaints.append(
            Complaint(
                f"{free / 1024**3:.1f} GiB free below {existing}; {FREE_BYTES_NEEDED / 1024**3:.0f} GiB are needed",
                "make room, or `make VENV=/path/on/another/disk`",
            )
        )
    return complaints
