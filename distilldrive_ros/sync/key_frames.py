"""Only the sets of a data set's key frames, for replay: what lies between goes, its discontinuity does not."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from distilldrive_ros.scene.sensor_frame import Discontinuity, SensorFrame

# More than can wait in the synchroniser at a time.
STAMPS_KEPT = 64


class KeyFrameFilter:
    """Knows the newest `kept` key frames by their stamps; None keeps all."""

    def __init__(self, kept: int | None = STAMPS_KEPT) -> None:
        """Know none."""
        self._stamps: deque[int] = deque(maxlen=kept)
        self._carried = Discontinuity.NONE

    def add(self, stamp_ns: int) -> None:
        """Take the stamp of a key frame."""
        self._stamps.append(stamp_ns)

    def passed(self, frame: SensorFrame) -> SensorFrame | None:
        """The set, or None where it is none of a key frame: then its discontinuity goes to the next one."""
        flags = frame.discontinuity | self._carried
        if frame.stamp_ns not in self._stamps:
            self._carried = flags
            return None
        self._carried = Discontinuity.NONE
        return frame if flags == frame.discontinuity else replace(frame, discontinuity=flags)
