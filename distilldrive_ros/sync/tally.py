"""Running counts of the synchroniser and of each of its streams; snapshots of them are what `status.py` defines."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Literal

from distilldrive_ros.sync.status import DropReason, SensorStatus, SyncCounters

RATE_WINDOW = 10


class SetTally:
    """Totals by name; the names are fields of `SyncCounters`."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._dropped: Counter[DropReason] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Count something."""
        self._totals[name] += count

    def drop(self, reason: DropReason, count: int = 1) -> None:
        """Count sets given up."""
        if count:
            self._dropped[reason] += count

    def snapshot(self) -> SyncCounters:
        """The totals now."""
        return SyncCounters(dropped=dict(self._dropped), **self._totals)


class StreamTally:
    """Arrivals and troubles of one stream."""

    def __init__(self, name: str, kind: Literal["camera", "lidar", "odometry", "command"]) -> None:
        self.name = name
        self.kind = kind
        self.received = 0
        self.refused = 0
        self.missing = 0
        self.last_problem = ""
        self._last_stamp_ns: int | None = None
        self._last_arrival_ns: int | None = None
        self._recent: deque[int] = deque(maxlen=RATE_WINDOW)
        self._late_by_ms = math.nan
        # The last set closed without this stream: stamp expected, distance at which a message would have served, when.
        self._given_up: tuple[int, int, int] | None = None

    def arrived(self, stamp_ns: int, now_ns: int) -> None:
        """A message came, whatever becomes of it."""
        self.received += 1
        self._last_stamp_ns = stamp_ns
        self._last_arrival_ns = now_ns
        if self._given_up is not None and abs(stamp_ns - self._given_up[0]) <= self._given_up[1]:
            self._late_by_ms = (now_ns - self._given_up[2]) * 1e-6
            self._given_up = None

    def used(self, stamp_ns: int) -> None:
        """A message was taken in, for the rate."""
        if self._recent and stamp_ns <= self._recent[-1]:
            return
        self._recent.append(stamp_ns)

    def refuse(self, problem: str) -> None:
        """A message was turned away."""
        self.refused += 1
        self.last_problem = problem

    def gave_up(self, target_ns: int, tolerance_ns: int, now_ns: int) -> None:
        """A set was closed without this stream."""
        self.missing += 1
        self._given_up = (target_ns, tolerance_ns, now_ns)

    def forget_stamps(self) -> None:
        """Time has jumped: stamps before and after cannot be compared."""
        self._recent.clear()
        self._given_up = None

    def snapshot(self, now_ns: int, calibrated: bool = True) -> SensorStatus:
        """The state now."""
        span = self._recent[-1] - self._recent[0] if len(self._recent) > 1 else 0
        return SensorStatus(
            name=self.name,
            kind=self.kind,
            received=self.received,
            refused=self.refused,
            last_stamp_ns=self._last_stamp_ns,
            age_s=math.inf if self._last_arrival_ns is None else (now_ns - self._last_arrival_ns) * 1e-9,
            rate_hz=(len(self._recent) - 1) / (span * 1e-9) if span else 0.0,
            missing=self.missing,
            late_by_ms=self._late_by_ms,
            calibrated=calibrated,
            last_problem=self.last_problem,
        )
