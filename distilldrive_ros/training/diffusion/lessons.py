"""Key frames as the teacher of the camera+LiDAR model sees them: annotated, with those before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.training.batch import MapTargets, TrainingBatch
from distilldrive_ros.training.diffusion.batch import TeacherView
from distilldrive_ros.training.pipeline.augmentation import View
from distilldrive_ros.training.pipeline.frames import FrameLimits, annotation_batch
from distilldrive_ros.training.targets.scene import Array, SceneTargets

HISTORY = 4
"""Key frames that a teacher remembers, the present one included (spec 6.3, 7). Without those before it, it would not
even know how fast it drives."""


class LessonBook:
    """Annotated scenes, and how much of one a teacher takes."""

    def __init__(self, scenes: Sequence[SceneTargets], limits: FrameLimits) -> None:
        """Scenes in the order of the frames that go with them."""
        self._scenes = list(scenes)
        self._limits = limits

    def view(self, scene: int, key_frame: int, world_from_base: Array) -> TeacherView:
        """A key frame and up to `HISTORY` - 1 before it, one stream; world_from_base (4, 4) of the vehicle then.

        Raises SensorDataError: one of them holds more than the teacher takes.
        """
        targets = self._scenes[scene]
        first = max(0, key_frame - HISTORY + 1)
        for number in range(first, key_frame + 1):
            self._limits.check(targets, number)
        wanted = range(key_frame - HISTORY + 1, key_frame + 1)
        base_from_network = inverse(world_from_base) @ targets.world_from_network[key_frame]
        return TeacherView(
            tuple(self._annotations(targets, max(number, first), restart=number <= first) for number in wanted),
            torch.from_numpy(base_from_network)[None],
        )

    def _annotations(self, targets: SceneTargets, key_frame: int, restart: bool) -> TrainingBatch:
        batch = annotation_batch(targets, key_frame, restart, View())
        lines = batch.maps[0]
        # The teacher looks at the first ordering alone: the other 37 need not travel.
        return replace(batch, maps=(MapTargets(lines.orderings[:, :1].clone(), lines.labels),))
