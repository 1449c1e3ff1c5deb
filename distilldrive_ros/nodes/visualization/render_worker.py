"""One thread that draws: of each kind of job only the newest waits, callbacks never do. Knows no ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable

Job = Callable[[], None]


class RenderWorker:
    """Runs jobs in the order of their posting; a job still waiting is replaced by the next one of its kind."""

    def __init__(self, name: str, on_error: Callable[[str, Exception], None]) -> None:
        """Start the thread.

        Args:
            name: of the thread.
            on_error: called with the kind and the exception of a job that failed; the worker goes on.
        """
        self._on_error = on_error
        self._jobs: dict[str, Job] = {}
        self._replaced: dict[str, int] = {}
        self._wake = threading.Condition()
        self._stopping = False
        self._busy = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, kind: str, job: Job) -> None:
        """Have a job done soon. Never waits; ignored after `stop`."""
        with self._wake:
            if self._stopping:
                return
            if self._jobs.pop(kind, None) is not None:
                self._replaced[kind] = self._replaced.get(kind, 0) + 1
            self._jobs[kind] = job
            self._wake.notify_all()

    def replaced(self, kind: str) -> int:
        """Jobs of a kind that were never done because a newer one came."""
        with self._wake:
            return self._replaced.get(kind, 0)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing waits and nothing runs; False after the time-out."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._jobs and not self._busy, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Drop what waits, let the running job end; False where it did not in time. May be called twice."""
        with self._wake:
            self._stopping = True
            self._jobs.clear()
            self._wake.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._busy = False
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                kind = next(iter(self._jobs))
                job = self._jobs.pop(kind)
                self._busy = True
            try:
                job()
            except Exception as error:
                self._on_error(kind, error)
