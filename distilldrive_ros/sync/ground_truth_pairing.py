"""Puts the ground truth of an instant beside the sensors of the same instant, for models that ask for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from distilldrive_ros.scene.ground_truth import GroundTruth
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.sync.key_frame_filter import KeyFrameFilter

STAMPS_KEPT = 64


class GroundTruthPairing:
    """Lets a set through, with its truth, once objects and road of its very stamp are there.

    Only key frames are annotated: sets in between are left out (`left_out`), as `KeyFrameFilter` says, and so is a set
    whose truth has not come within `wait_ns` of arrival time. `paired` counts the others.
    """

    def __init__(self, wait_ns: int) -> None:
        """Start without any truth."""
        self._filter = KeyFrameFilter(wait_ns, STAMPS_KEPT)
        self._parts: OrderedDict[int, dict[type, ObjectPredictions | VectorMap]] = OrderedDict()
        self.paired = 0

    @property
    def left_out(self) -> int:
        """Sets without a truth of their stamp."""
        return self._filter.left_out

    @property
    def waiting(self) -> int:
        """Sets that are not decided yet."""
        return self._filter.waiting

    def add_truth(self, part: ObjectPredictions | VectorMap, now_ns: int) -> list[SensorFrame]:
        """Objects or road of an instant. Returns the sets that are decided by it."""
        parts = self._parts.setdefault(part.stamp_ns, {})
        parts[type(part)] = part
        if len(self._parts) > STAMPS_KEPT:
            self._parts.popitem(last=False)
        return self._with_truth(self._filter.announce(part.stamp_ns, now_ns)) if len(parts) == 2 else []

    def add(self, frame: SensorFrame, now_ns: int) -> list[SensorFrame]:
        """A set, in the order of the synchroniser. Returns the sets that are decided now."""
        return self._with_truth(self._filter.add(frame, now_ns))

    def poll(self, now_ns: int) -> None:
        """Give up on sets that have waited too long."""
        self._filter.poll(now_ns)

    def _with_truth(self, frames: Iterable[SensorFrame]) -> list[SensorFrame]:
        out = []
        for frame in frames:
            parts = self._parts[frame.stamp_ns]
            objects, road = parts[ObjectPredictions], parts[VectorMap]
            assert isinstance(objects, ObjectPredictions) and isinstance(road, VectorMap)
            out.append(replace(frame, privileged=GroundTruth(objects, road)))
        self.paired += len(out)
        return out
