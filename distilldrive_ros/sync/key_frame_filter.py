"""Lets through the sets of a data set's key frames only, whichever comes first: the set or the word that it is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from distilldrive_ros.scene.sensor_frame import Discontinuity, SensorFrame


class KeyFrameFilter:
    """Decides set by set, in order.

    A set is a key frame where a sample of its stamp was announced, and none where a later sample was announced and not
    this one. While neither is known it waits, with all sets behind it, for at most `wait_ns` of arrival time. What
    separated a set that is left out from the one before is passed on to the next that is let through.
    """

    def __init__(self, wait_ns: int, capacity: int = 64) -> None:
        self._wait_ns = wait_ns
        self._samples: deque[int] = deque(maxlen=capacity)
        self._waiting: deque[tuple[SensorFrame, int]] = deque(maxlen=capacity)
        self._carried = Discontinuity.NONE
        self.left_out = 0

    @property
    def waiting(self) -> int:
        """Sets that are not decided yet."""
        return len(self._waiting)

    def announce(self, stamp_ns: int, now_ns: int) -> list[SensorFrame]:
        """A sample of this stamp exists. Returns the key frames that are decided by it."""
        if self._samples and stamp_ns < self._samples[-1]:
            # Time has jumped back (a bag loops): what was announced says nothing about the stamps to come.
            self._samples.clear()
        self._samples.append(stamp_ns)
        return list(self._decide(now_ns))

    def add(self, frame: SensorFrame, now_ns: int) -> list[SensorFrame]:
        """A set, in the order of the synchroniser. Returns the key frames that are decided now."""
        if len(self._waiting) == self._waiting.maxlen:
            self._leave_out()
        self._waiting.append((frame, now_ns + self._wait_ns))
        return list(self._decide(now_ns))

    def poll(self, now_ns: int) -> None:
        """Give up on sets that have waited too long."""
        while self._waiting and self._waiting[0][1] <= now_ns:
            self._leave_out()

    def _decide(self, now_ns: int) -> Iterator[SensorFrame]:
        self.poll(now_ns)
        while self._waiting:
            frame = self._waiting[0][0]
            if frame.stamp_ns in self._samples:
                self._waiting.popleft()
                flags, self._carried = frame.discontinuity | self._carried, Discontinuity.NONE
                yield frame if flags == frame.discontinuity else replace(frame, discontinuity=flags)
            elif self._samples and self._samples[-1] > frame.stamp_ns:
                self._leave_out()
            else:
                return

    def _leave_out(self) -> None:
        self._carried |= self._waiting.popleft()[0].discontinuity
        self.left_out += 1
