"""Runs the programs of a graph as child processes: prefixed logs, restart after a death, one clean end for all."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

from distilldrive_ros.environment.resources import config_file

# Fast DDS 2 (ROS 2 up to Jazzy) reads the one, Fast DDS 3 the other and complains of the first.
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
FAST_DDS_2 = frozenset({"humble", "iron", "jazzy"})


def graph_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for the programs of a graph: the Fast DDS profile with the large shared-memory segment.

    The default segment of half a megabyte loses bursts of six images. A profile that the user chose stays.
    """
    environment = dict(os.environ if base is None else base)
    if not any(environment.get(name) for name in PROFILE_VARIABLES):
        variable = PROFILE_VARIABLES[environment.get("ROS_DISTRO", "") in FAST_DDS_2]
        environment[variable] = str(config_file("fastdds_shm.xml"))
    return environment


@dataclass
class _Child:
    name: str
    argv: tuple[str, ...]
    env: dict[str, str] | None
    respawn_delay_s: float | None
    process: subprocess.Popen[str] = field(repr=False)
    restarts: int = 0


class ProcessGroup:
    """Child processes that start, speak and end together.

    Every child leads its own process group, so that a Ctrl-C in the terminal reaches this program only, which then ends
    them in order. Use it as a context manager: leaving it stops what still runs.
    """

    def __init__(self, prefix_logs: bool = True, output: TextIO | None = None) -> None:
        """Make an empty group.

        Args:
            prefix_logs: copy the children's output line by line, each behind `[name]`; else they share our streams.
            output: where copied lines go; standard error where None.
        """
        self._prefix_logs = prefix_logs
        self._output = output
        self._children: dict[str, _Child] = {}
        self._exits: queue.Queue[tuple[str, int]] = queue.Queue()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watchers: list[threading.Thread] = []

    def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        respawn_delay_s: float | None = None,
    ) -> int:
        """Start a program and return its process id.

        Args:
            name: unique name, shown before its lines.
            argv: program and arguments.
            env: its environment; ours where None.
            respawn_delay_s: start it again that long after it died with an error; None: never.

        Raises:
            ValueError: a program of that name runs already.
            OSError: the program cannot be started.
        """
        with self._lock:
            running = self._children.get(name)
            if running is not None and running.process.poll() is None:
                raise ValueError(f"a process named {name!r} runs already")
            environment = None if env is None else dict(env)
            process = self._spawn(argv, environment)
            child = _Child(name, tuple(argv), environment, respawn_delay_s, process)
            self._children[name] = child
        self._watch(child, process)
        return process.pid

    def wait_any(self, timeout: float | None = None) -> tuple[str, int] | None:
        """Name and exit code of the next program that ended for good, or None when the time-out passes first."""
        try:
            return self._exits.get(timeout=timeout)
        except queue.Empty:
            return None

    def running(self) -> tuple[str, ...]:
        """Names of the programs that run."""
        with self._lock:
            return tuple(c.name for c in self._children.values() if c.process.poll() is None)

    def restarts(self, name: str) -> int:
        """How often a program was started again."""
        return self._children[name].restarts

    def interrupt(self, name: str) -> None:
        """Send one program the SIGINT that ends it cleanly."""
        self._signal(self._children[name], signal.SIGINT)

    def stop(self, timeout: float = 10.0) -> dict[str, int]:
        """End every program: SIGINT, after the time-out SIGTERM, at last SIGKILL. Returns exit codes by name."""
        self._stopping.set()
        for sign, patience in ((signal.SIGINT, timeout), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
            with self._lock:
                alive = [c for c in self._children.values() if c.process.poll() is None]
            for child in alive:
                self._signal(child, sign)
            deadline = time.monotonic() + patience
            for child in alive:
                try:
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._write(child.name, f"still runs {patience:.0f} s after {sign.name}")
        for watcher in self._watchers:
            watcher.join(timeout=2.0)
        codes = {child.name: child.process.poll() for child in self._children.values()}
        return {name: -1 if code is None else code for name, code in codes.items()}

    def __enter__(self) -> ProcessGroup:
        """The group itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what still runs."""
        self.stop()

    def _spawn(self, argv: Sequence[str], env: dict[str, str] | None) -> subprocess.Popen[str]:
        stream = subprocess.PIPE if self._prefix_logs else None
        return subprocess.Popen(
            list(argv),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT if self._prefix_logs else None,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )

    def _watch(self, child: _Child, process: subprocess.Popen[str]) -> None:
        watcher = threading.Thread(target=self._follow, args=(child, process), name=f"watch {child.name}", daemon=True)
        self._watchers.append(watcher)
        watcher.start()

    def _follow(self, child: _Child, process: subprocess.Popen[str]) -> None:
        """Copy the child's lines until it ends; then start it again or report its exit."""
        while True:
            if process.stdout is not None:
                for line in process.stdout:
                    self._write(child.name, line.rstrip("\n"))
            code = process.wait()
            respawn = child.respawn_delay_s is not None and code != 0 and not self._stopping.is_set()
            if not respawn:
                break
            delay = child.respawn_delay_s or 0.0
            self._write(child.name, f"died with exit code {code}; starts again in {delay:.1f} s")
            if self._stopping.wait(delay):
                break
            with self._lock:
                if self._stopping.is_set():
                    break
                process = self._spawn(child.argv, child.env)
                child.process = process
                child.restarts += 1
        self._exits.put((child.name, code))

    def _signal(self, child: _Child, sign: signal.Signals) -> None:
        if child.process.poll() is None:
            try:
                os.killpg(child.process.pid, sign)
            except ProcessLookupError:
                return  # ended between the two calls

    def _write(self, name: str, line: str) -> None:
        stream = self._output or sys.stderr
        stream.write(f"[{name}] {line}\n")
        stream.flush()
