"""SUMO in a process of its own, spoken to over a loopback connection: any number of them at once."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.sumo import REMEDY, sumo_program

T = TypeVar("T")

# SUMO needs fractions of a second; a machine under load may take much longer.
START_LIMIT_S = 120.0
# No single answer takes SUMO longer than some seconds.
ANSWER_LIMIT_S = 120.0
POLL_S = 0.02
PORT_TRIES = 5
# A SUMO that closed its connection has ended after this time.
ENDING_S = 3.0


class Engine:
    """A running SUMO. `call` turns its failures into one clear error."""

    def __init__(self, net: Path, routes: Path, seed: int, step_s: float, log: Path) -> None:
        """Start it.

        Raises:
            WorldError: SUMO or its client is missing, or does not start.
        """
        try:
            from traci.exceptions import FatalTraCIError, TraCIException
        except ImportError as error:
            raise WorldError(f"the package traci is missing; {REMEDY}") from error
        self._failures = (FatalTraCIError, TraCIException, OSError, AttributeError)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        command = [
            str(sumo_program("sumo")), "--net-file", str(net), "--route-files", str(routes), "--seed", str(seed),
            "--step-length", str(step_s), "--default.action-step-length", str(step_s), "--time-to-teleport", "-1",
            "--collision.action", "none", "--lateral-resolution", "0.8", "--no-step-log", "true", "--no-warnings",
            "true", "--xml-validation", "never", "--xml-validation.net", "never", "--xml-validation.routes", "never",
            "--ignore-route-errors", "true", "--pedestrian.striping.dawdling", "0.1", "--num-clients", "1",
        ]  # fmt: skip
        self._connection = self._connect(command)

    def call(self, action: Callable[[Any], T]) -> T:
        """Result of an action on the connection.

        Raises:
            WorldError: SUMO refuses it, has ended, or does not answer in time; then it is ended.
        """
        try:
            return action(self._connection)
        except self._failures as error:
            if self._hangs(error):
                self.close()
                raise WorldError(
                    f"the traffic engine has not answered for {ANSWER_LIMIT_S:g} s and was ended; is the machine "
                    "overloaded? run it again, with fewer processes at a time, or take another seed"
                ) from error
            raise WorldError(f"the traffic engine failed: {error}{self._last_words()}; take another seed") from error

    def close(self) -> None:
        """End the process; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        # Not asked to end: while it waits for its client it does not hear that, and it has nothing to save.
        process.kill()
        process.wait()

    def _hangs(self, error: Exception) -> bool:
        """Whether a connection broke although SUMO still runs: its client says of both that SUMO closed it."""
        if self._process is None or not isinstance(error, (self._failures[0], OSError)):
            return False
        try:
            self._process.wait(timeout=ENDING_S)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _connect(self, command: list[str]) -> Any:
        import traci

        deadline = time.monotonic() + START_LIMIT_S
        for _ in range(PORT_TRIES):
            port = _free_port()
            with self._log.open("wb") as log:
                try:
                    self._process = subprocess.Popen(
                        [*command, "--remote-port", str(port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                except OSError as error:
                    raise WorldError(f"SUMO could not be started: {error}; {REMEDY}") from error
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    return limited(traci.connect(port, numRetries=0, host="127.0.0.1"), ANSWER_LIMIT_S)
                except (traci.exceptions.FatalTraCIError, OSError):
                    time.sleep(POLL_S)
            self.close()
            if "bind" not in self._last_words().lower():
                break
        raise WorldError(f"SUMO did not start{self._last_words()}; check the installation of eclipse-sumo")

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f" ({lines[0].strip()})" if lines else ""


def limited(connection: Any, seconds: float) -> Any:
    """The connection, which now breaks when an answer takes longer; the client itself would wait for ever."""
    connection._socket.settimeout(seconds)
    return connection


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
