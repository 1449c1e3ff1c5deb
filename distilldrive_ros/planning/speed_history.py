"""The vehicle's speed at a stamp, from odometry messages. Knows no ROS."""

from __future__ import annotations

from collections import deque


class SpeedHistory:
    """The newest samples of forward speed, in order of their stamps."""

    def __init__(self, length: int = 200) -> None:
        """Keep that many samples."""
        self._samples: deque[tuple[int, float]] = deque(maxlen=length)

    def add(self, stamp_ns: int, speed: float) -> None:
        """Take a sample. A stamp not after the newest one means that time went back: what lies after it is dropped."""
        while self._samples and self._samples[-1][0] >= stamp_ns:
            self._samples.pop()
        self._samples.append((stamp_ns, speed))

    def at(self, stamp_ns: int, tolerance_ns: int) -> float | None:
        """Speed at a stamp, m/s, between its neighbours or that of the nearest sample; None beyond the tolerance."""
        before = next((s for s in reversed(self._samples) if s[0] <= stamp_ns), None)
        after = next((s for s in self._samples if s[0] >= stamp_ns), None)
        near = [s for s in (before, after) if s is not None and abs(s[0] - stamp_ns) <= tolerance_ns]
        if not near:
            return None
        if len(near) == 1 or near[0][0] == near[1][0]:
            return near[0][1]
        (t0, v0), (t1, v1) = near
        return v0 + (v1 - v0) * (stamp_ns - t0) / (t1 - t0)
