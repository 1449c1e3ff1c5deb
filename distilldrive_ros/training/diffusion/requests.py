"""DiffusionDrive's frames as the data loader of the trainer asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.training.diffusion.augmentation import NO_CHANGE, DiffusionAugmentation, augmented
from distilldrive_ros.training.diffusion.batch import DiffusionBatch, join_frames
from distilldrive_ros.training.diffusion.frame_store import FrameStore
from distilldrive_ros.training.diffusion.frames import DiffusionFrames
from distilldrive_ros.training.diffusion.lessons import LessonBook
from distilldrive_ros.training.pipeline.loaded import LoadedBatch, first_readable
from distilldrive_ros.training.pipeline.sequences import FrameRequest, Section


class RequestedFrames(Dataset[LoadedBatch[DiffusionBatch]]):
    """Frames are independent: every section is one key frame. Every draw follows from the seed and the request."""

    def __init__(
        self,
        scenes: Sequence[SceneSource],
        config: DiffusionDriveConfig,
        store: FrameStore | None = None,
        augmentation: DiffusionAugmentation = NO_CHANGE,
        seed: int = 0,
        lessons: LessonBook | None = None,
    ) -> None:
        """`store` keeps what was prepared; `lessons`: the same scenes for a teacher.

        Raises ConfigurationError when the network plans other steps than the targets have.
        """
        self._frames = DiffusionFrames(scenes, config, store)
        self._scenes = list(scenes)
        self._augmentation = augmentation
        self._seed = seed
        self._lessons = lessons
        self.sections = [
            Section(number, k, k + 1) for number, scene in enumerate(scenes) for k in range(len(scene.key_frames))
        ]
        self._first = [0]
        for scene in scenes:
            self._first.append(self._first[-1] + len(scene.key_frames))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def __getitem__(self, request: FrameRequest) -> LoadedBatch[DiffusionBatch]:
        """The frame asked for; where it cannot be read, the nearest of its scene that can be.

        Raises:
            DatasetError: no frame of the scene can be read.
        """
        number = self.sections[request.section].scene
        scene = self._scenes[number]
        near = sorted(range(len(scene.key_frames)), key=lambda k: abs(k - request.key_frame))
        return first_readable(
            near,
            lambda k: self._frame(number, k, request),
            lambda k: f"{scene.scene.name}/{scene.key_frames[k].sample.token}",
            scene.scene.name,
        )

    def _frame(self, scene: int, key_frame: int, request: FrameRequest) -> DiffusionBatch:
        rng = np.random.default_rng([self._seed, request.iteration, request.lane])
        batch = augmented(self._frames[self._first[scene] + key_frame], self._augmentation, rng)
        if self._lessons is None:
            return batch
        pose = self._scenes[scene].key_frames[key_frame].world_from_base
        return replace(batch, lesson=self._lessons.view(scene, key_frame, pose))


def collate_frames(frames: Sequence[LoadedBatch[DiffusionBatch]]) -> LoadedBatch[DiffusionBatch]:
    """Frames side by side."""
    return LoadedBatch(join_frames([f.batch for f in frames]), tuple(note for f in frames for note in f.skipped))
