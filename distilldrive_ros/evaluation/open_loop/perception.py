"""Road users, their futures and the map of a model against the annotations: the planner's other outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distilldrive_ros.evaluation.open_loop.detection import Boxes, DetectionResult, detection_metrics
from distilldrive_ros.evaluation.open_loop.map_precision import MapResult, map_metrics
from distilldrive_ros.evaluation.open_loop.motion import MotionResult, motion_metrics
from distilldrive_ros.scene.objects import CLASS_NAMES, ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap

_CLASS_INDEX = {name: index for index, name in enumerate(CLASS_NAMES)}


@dataclass
class PerceptionPairs:
    """Annotations and predictions of key frames that have both; `without_map`: key frames whose bag has no map."""

    objects: list[tuple[ObjectPredictions, ObjectPredictions]] = field(default_factory=list)
    maps: list[tuple[VectorMap, VectorMap]] = field(default_factory=list)
    without_map: int = 0

    def add(self, other: PerceptionPairs) -> None:
        """Take those of another drive, too."""
        self.objects += other.objects
        self.maps += other.maps
        self.without_map += other.without_map


@dataclass(frozen=True)
class PerceptionResult:
    """None where the model reports nothing of that kind in any key frame."""

    detection: DetectionResult | None
    motion: Mapping[str, MotionResult] | None
    map: MapResult | None
    without_map: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "detection": None if self.detection is None else self.detection.to_json(),
            "motion": None if self.motion is None else {k: v.to_json() for k, v in self.motion.items()},
            "map": None if self.map is None else self.map.to_json(),
            "key_frames_without_map": self.without_map,
        }


def perception_metrics(pairs: PerceptionPairs) -> PerceptionResult:
    """Of all key frames."""
    seen = any(found.objects for _, found in pairs.objects)
    foreseen = any(o.num_modes and o.num_steps for _, found in pairs.objects for o in found.objects)
    mapped = any(found.polylines for _, found in pairs.maps)
    boxes = [(_boxes(truth), _boxes(found)) for truth, found in pairs.objects] if seen else []
    return PerceptionResult(
        detection=detection_metrics(boxes) if seen else None,
        motion=motion_metrics(pairs.objects) if foreseen else None,
        map=map_metrics(pairs.maps) if mapped else None,
        without_map=pairs.without_map,
    )


def _boxes(objects: ObjectPredictions) -> Boxes:
    items: Sequence[Any] = [o for o in objects.objects if o.class_id in _CLASS_INDEX]
    return Boxes(
        np.array([o.box for o in items], np.float64).reshape(-1, 7),
        np.array([o.velocity for o in items], np.float64).reshape(-1, 2),
        np.array([_CLASS_INDEX[o.class_id] for o in items], np.int64),
        np.array([o.score for o in items], np.float64),
    )
