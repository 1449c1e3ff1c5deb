"""The steps that make the virtual environment and install the pinned packages."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from distilldrive_ros.environment.commands import SetupStepError, ToolError, clean_environment, run_logged
from distilldrive_ros.environment.layout import Layout

CORE_REQUIREMENTS = ("requirements.txt",)
ROS_REQUIREMENTS = ("requirements-ros.txt", "requirements-build.txt")
TEST_REQUIREMENTS = ("requirements-test.txt", "requirements-train.txt", "requirements-export.txt")
WORLD_REQUIREMENTS = ("requirements-world.txt",)
CONSTRAINTS = "constraints.txt"

# pip's words for a failure, and what helps.
_PIP_REMEDIES = (
    (r"No space left on device", "make room on the disk, then run the same command again"),
    (
        r"NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|Temporary failure|Network is unreachable|"
        r"ProxyError|SSLError|Could not fetch URL|ConnectionError|ConnectionResetError",
        "the package index could not be reached: check the network and pip's proxy or index settings "
        "(PIP_INDEX_URL, HTTPS_PROXY), then run the same command again; finished downloads are kept",
    ),
    (
        r"No matching distribution|Could not find a version",
        "a pinned package has no file for this machine, or the index lacks it: the pins are for Linux x86-64 with "
        "glibc 2.28 or newer; check PIP_INDEX_URL, or use another interpreter: `make PYTHON=python3.11`",
    ),
    (r"THESE PACKAGES DO NOT MATCH THE HASHES|BadZipFile", "a download was damaged: run `pip cache purge`, then again"),
)


def base_interpreter() -> str:
    """The interpreter the environment is made from, also when this runs inside an environment."""
    return getattr(sys, "_base_executable", None) or sys.executable


def create_venv(layout: Layout, progress: Callable[[str], None]) -> None:
    """Makes the virtual environment anew; one of another interpreter or place is removed first."""
    if layout.venv.exists():
        entries = {entry.name for entry in layout.venv.iterdir()}
        if "pyvenv.cfg" not in entries and not entries <= {"stamps", "log", "build"}:
            raise SetupStepError(
                f"{layout.venv} exists and is no virtual environment",
                "choose another folder with `make VENV=...`, or remove that one yourself",
            )
        progress("removing the old environment")
        shutil.rmtree(layout.venv)
    env = clean_environment(layout.venv, os.environ)
    log = layout.logs / "venv.log"
    try:
        run_logged([base_interpreter(), "-m", "venv", str(layout.venv)], log, env, progress)
    except ToolError as error:
        version = f"{layout.python_version[0]}.{layout.python_version[1]}"
        raise SetupStepError(
            error.tail or str(error),
            f"check that `{base_interpreter()} -m venv` works (Debian, Ubuntu: `apt-get install python{version}-venv`)",
        ) from error


def pip_install(layout: Layout, files: tuple[str, ...], log_name: str, progress: Callable[[str], None]) -> None:
    """Installs requirement files under the common constraints."""
    command = [str(layout.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "-c", str(layout.requirements / CONSTRAINTS)]
    for name in files:
        command += ["-r", str(layout.requirements / name)]
    log = layout.logs / log_name
    log.unlink(missing_ok=True)
    try:
        run_logged(command, log, clean_environment(layout.venv, os.environ), progress)
    except ToolError as error:
        text = log.read_text(encoding="utf-8", errors="replace")
        remedy = next((words for pattern, words in _PIP_REMEDIES if re.search(pattern, text)), None)
        raise SetupStepError(
            f"{error.tail}\nfull log: {log}", remedy or "read the log, then run the same command again"
        ) from error


_FOREIGN_PYTHON = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
_FOREIGN_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")


def repair_include_paths(layout: Layout) -> int:
    """Replaces, in the wheels' CMake files, the include folders of the machine that built them by this one's.

    Returns:
        The number of files changed.
    """
    python_include = sysconfig.get_path("include")
    numpy_include = layout.site_packages / "numpy" / "_core" / "include"
    changed = 0
    for path in sorted((layout.venv / "share").glob("**/cmake/*.cmake")):
        text = path.read_text(encoding="utf-8")
        repaired = _FOREIGN_NUMPY.sub(str(numpy_include), _FOREIGN_PYTHON.sub(python_include, text))
        if repaired != text:
            partial = path.with_suffix(".partial")
            partial.write_text(repaired, encoding="utf-8")
            partial.replace(path)
            changed += 1
    if not (numpy_include / "numpy" / "arrayobject.h").is_file():
        raise SetupStepError(f"NumPy's headers are not under {numpy_include}", "run `make clean`, then again")
    return changed


def requirement_files(layout: Layout, names: tuple[str, ...]) -> list[Path]:
    """Paths of requirement files with the constraints, the inputs of a package step."""
    return [layout.requirements / name for name in (*names, CONSTRAINTS)]
