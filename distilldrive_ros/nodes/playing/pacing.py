"""When each recorded instant is due on the steady clock. Knows no ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_NS = 1_000_000_000


@dataclass
class ReplayPacer:
    """Maps recorded stamps to steady time, always from the same origin, so that errors of single waits never add up.

    `rate`: speed against the recording; 0 makes everything due at once. `stop`: ends every wait. Times in nanoseconds.
    """

    rate: float
    stop: threading.Event
    now_ns: Callable[[], int] = time.monotonic_ns
    _origin_stamp_ns: int = field(default=0, init=False)
    _origin_ns: int = field(default=0, init=False)

    def restart(self, stamp_ns: int) -> None:
        """That recorded instant is now."""
        self._origin_stamp_ns = stamp_ns
        self._origin_ns = self.now_ns()

    def hold(self, duration_ns: int) -> None:
        """Everything later is due that much later: the recording stood still meanwhile."""
        self._origin_ns += duration_ns

    def due_ns(self, stamp_ns: int) -> int:
        """Steady time at which a recorded instant is due."""
        if self.rate == 0:
            return self._origin_ns
        return self._origin_ns + round((stamp_ns - self._origin_stamp_ns) / self.rate)

    def wait_for(self, stamp_ns: int, tick: Callable[[int], None], tick_period_ns: int) -> bool:
        """Wait until a recorded instant is due; False where `stop` was set.

        Args:
            stamp_ns: the instant.
            tick: called with the recorded time about every `tick_period_ns` of steady time while waiting.
            tick_period_ns: 0 for no ticks.
        """
        due = self.due_ns(stamp_ns)
        while not self.stop.is_set():
            now = self.now_ns()
            if now >= due:
                return True
            wake = due
            if tick_period_ns:
                next_tick = self._origin_ns + ((now - self._origin_ns) // tick_period_ns + 1) * tick_period_ns
                wake = min(due, next_tick)
            if self.stop.wait((wake - now) / _NS):
                return False
            if wake < due and self.now_ns() >= wake:
                tick(self._origin_stamp_ns + round((wake - self._origin_ns) * self.rate))
        return False
