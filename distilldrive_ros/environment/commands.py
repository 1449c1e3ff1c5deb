"""Runs one tool of a set-up step: output to a log file, the latest line to the terminal, the tail to the error."""

from __future__ import annotations

import os
import select
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 12
TICK_SECONDS = 0.5

# Set by a sourced ROS workspace or by another environment of ROS wheels; either would be mixed into this one.
FOREIGN_VARIABLES = (
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "ROS_DISTRO",
    "ROS_PYTHON_VERSION",
    "ROS_VERSION",
    "VIRTUAL_ENV",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
)


class SetupStepError(Exception):
    """A step cannot be done: `cause` (may be several lines) and `remedy`."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


class ToolError(Exception):
    """A tool ended with an error; `tail` holds its last lines, `log` the file with all of them."""

    def __init__(self, command: Sequence[str], status: int, tail: str, log: Path) -> None:
        super().__init__(f"{Path(command[0]).name} ended with status {status}")
        self.tail = tail
        self.log = log


def clean_environment(venv: Path, base: Mapping[str, str]) -> dict[str, str]:
    """`base` without other ROS installations and environments, with this environment's tools first.

    `LD_LIBRARY_PATH` keeps only entries that belong to no ROS prefix: the wheels set their own at start-up.
    """
    env = {name: value for name, value in base.items() if name not in FOREIGN_VARIABLES}
    foreign = [p for p in base.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    libraries = [
        folder
        for folder in base.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        if folder
        and not any(folder == p or folder.startswith(p + os.sep) for p in foreign)
        and not ("site-packages" in folder and folder.endswith(".libs"))
    ]
    env.pop("LD_LIBRARY_PATH", None)
    if libraries:
        env["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    env["VIRTUAL_ENV"] = str(venv)
    env["PATH"] = os.pathsep.join([str(venv / "bin"), base.get("PATH", os.defpath)])
    return env


def run_logged(
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str],
    on_progress: Callable[[str], None],
    cwd: Path | None = None,
) -> None:
    """Runs `command`, appending its output to `log`.

    Args:
        on_progress: called with the latest line, at least twice a second while the tool runs.

    Raises:
        ToolError: the tool is missing or its exit status is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with log.open("a", encoding="utf-8") as file:
        file.write("$ " + " ".join(command) + "\n")
        file.flush()
        try:
            process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(env), cwd=cwd,
            )  # fmt: skip
        except OSError as error:
            raise ToolError(command, 127, str(error), log) from error
        assert process.stdout is not None
        try:
            _pump(process.stdout.fileno(), file.write, tail, on_progress)
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        raise ToolError(command, status, "\n".join(tail), log)


def _pump(
    descriptor: int, write: Callable[[str], object], tail: deque[str], on_progress: Callable[[str], None]
) -> None:
    pending = b""
    while True:
        on_progress(tail[-1] if tail else "")
        if not select.select([descriptor], [], [], TICK_SECONDS)[0]:
            continue
        chunk = os.read(descriptor, 65536)
        pending += chunk
        lines = pending.split(b"\n")
        pending = lines.pop() if chunk else b""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            write(text + "\n")
            if text.strip():
                tail.append(text)
        if not chunk:
            return
