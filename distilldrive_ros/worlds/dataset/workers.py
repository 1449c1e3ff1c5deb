"""One process per scene: engines that crash or leak take nothing else with them."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Generic, TypeVar

from distilldrive_ros.scene.errors import DistillDriveError, WorldError
from distilldrive_ros.worlds.dataset.root import unwritable

Job = TypeVar("Job")
Advance = Callable[[float], None]

# A worker that is told to end and has not ended by then is killed.
LEAVE_LIMIT_S = 10.0

_ADVANCED, _DONE, _FAILED, _BROKEN = range(4)


@dataclass(frozen=True)
class Outcome(Generic[Job]):
    """How a job ended: `failure` is empty where it was done, else the one line that says why it cannot be."""

    job: Job
    failure: str


def run_jobs(
    work: Callable[[Job, Advance], None], jobs: Sequence[Job], workers: int, advance: Callable[[float], object]
) -> Iterator[Outcome[Job]]:
    """Do every job in a process of its own, `workers` at a time; give each outcome when it is there.

    Processes end with their caller: the first thing they want to tell it when it is gone ends them.

    Args:
        work: module-level function; it calls its second argument with the share of the job done since the last call.
        jobs: what to do, picklable.
        workers: processes at a time.
        advance: called in this process with such shares.

    Raises:
        WorldError: a process was killed, or met what would meet all others (a full disk); those at work are ended.
    """
    waiting, running = deque(jobs), list[_Worker[Job]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Worker(work, waiting.popleft()))
            ready = set(wait([worker.connection for worker in running]))
            for worker in [w for w in running if w.connection in ready]:
                outcome = worker.listen(advance)
                if outcome is not None:
                    running.remove(worker)
                    yield outcome
    finally:
        for worker in running:
            worker.end()


class _Worker(Generic[Job]):
    """A process at work on a job."""

    def __init__(self, work: Callable[[Job, Advance], None], job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.job, self._shares = job, 0.0
        self.connection, theirs = context.Pipe(duplex=False)
        self._process: SpawnProcess = context.Process(target=_run, args=(work, job, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def listen(self, advance: Callable[[float], object]) -> Outcome[Job] | None:
        """Take one message; the outcome where it was the last."""
        try:
            kind, content = self.connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            why = (
                f"was killed by signal {-code} (out of memory?)"
                if code and code < 0
                else f"broke off (exit code {code})"
            )
            raise WorldError(
                f"the process that made {self.job} {why}; run the same command again, perhaps with fewer --jobs: "
                "it goes on where it stopped"
            ) from None
        if kind == _ADVANCED:
            self._shares += content
            advance(content)
            return None
        self._process.join()
        if kind == _BROKEN:
            raise WorldError(content)
        advance(1.0 - self._shares)
        return Outcome(self.job, content)

    def end(self) -> None:
        """Stop it: it gets some time to put away what it holds."""
        self._process.terminate()
        self._process.join(LEAVE_LIMIT_S)
        self._process.kill()
        self._process.join()
        self.connection.close()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _run(work: Callable[[Job, Advance], None], job: Job, connection: Connection) -> None:
    # Ctrl-C goes to the whole group; the parent alone answers it and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its `finally` and `with` shall run: engines are ended, temporary folders removed.
    signal.signal(signal.SIGTERM, _leave)
    # Nobody left to talk to: the caller was killed.
    with suppress(BrokenPipeError):
        try:
            work(job, lambda share: connection.send((_ADVANCED, share)))
            connection.send((_DONE, ""))
        except DistillDriveError as error:
            connection.send((_FAILED, str(error)))
        except BrokenPipeError:
            raise
        except OSError as error:
            connection.send((_BROKEN, str(unwritable(job, error))))
