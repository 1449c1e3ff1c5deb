"""One worker thread with one place in its queue: a newer set replaces the one that waits, and the loss is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from distilldrive_ros.scene.sensor_frame import SensorFrame


class LatestWinsWorker:
    """Runs `process(frame, accepted_at)`, one set at a time, on its own thread; `accepted_at`: of `perf_counter()`."""

    def __init__(self, process: Callable[[SensorFrame, float], None]) -> None:
        """Start the thread. `process` must not raise."""
        self._process = process
        self._condition = threading.Condition()
        self._waiting: tuple[SensorFrame, float] | None = None
        self._stopping = False
        self._busy = False
        self.dropped = 0
        self.accepted = 0
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def offer(self, frame: SensorFrame) -> None:
        """Take a set; one that still waited is dropped, and what it said of discontinuities goes to its successor."""
        with self._condition:
            if self._stopping:
                return
            if self._waiting is not None:
                self.dropped += 1
                frame = replace(frame, discontinuity=frame.discontinuity | self._waiting[0].discontinuity)
            self._waiting = (frame, time.perf_counter())
            self.accepted += 1
            self._condition.notify_all()

    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        with self._condition:
            return self._waiting is None and not self._busy

    def stop(self, timeout_s: float) -> bool:
        """Let the running set end, drop the waiting one, join the thread. False where it did not end in time."""
        with self._condition:
            self._stopping = True
            self._waiting = None
            self._condition.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._waiting is not None)
                if self._stopping or self._waiting is None:
                    return
                frame, accepted_at = self._waiting
                self._waiting = None
                self._busy = True
            try:
                self._process(frame, accepted_at)
            finally:
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()
