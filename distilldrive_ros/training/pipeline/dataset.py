"""Frames for the data loader: a request in, a batch of one stream out; what cannot be read is stepped over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from distilldrive_ros.training.batch import TrainingBatch, join
from distilldrive_ros.training.pipeline.augmentation import AugmentationConfig, View, draw_view
from distilldrive_ros.training.pipeline.frames import FrameLimits, ImageSettings, annotation_batch, camera_batch
from distilldrive_ros.training.pipeline.image_store import ImageStore
from distilldrive_ros.training.pipeline.loaded import LoadedBatch, first_readable
from distilldrive_ros.training.pipeline.perceived_scenes import PerceivedScenes
from distilldrive_ros.training.pipeline.sequences import FrameRequest, Section
from distilldrive_ros.training.targets.scene import SceneTargets

# What the generators of one seed are told apart by.
_VIEW, _COLOURS = 1, 2


class FrameDataset(Dataset[LoadedBatch[TrainingBatch]]):
    """All frames of some scenes. Nothing random is kept: every draw follows from the seed and the request."""

    def __init__(
        self,
        scenes: Sequence[SceneTargets],
        sections: Sequence[Section],
        dataroot: Path,
        images: ImageSettings | None,
        augmentation: AugmentationConfig,
        seed: int,
        cache: Path | None = None,
        limits: FrameLimits | None = None,
        perceived: PerceivedScenes | None = None,
    ) -> None:
        """`images`: None for targets alone. `cache`: folder that keeps reduced pictures, None for none.

        Frames beyond the `limits` are stepped over as those that cannot be read. `perceived`: where to find what a
        frozen perception sees of every frame.
        """
        self._scenes = list(scenes)
        self._sections = list(sections)
        self._dataroot = dataroot
        self._settings = images
        self._augmentation = augmentation
        self._seed = seed
        self._limits = limits
        self._perceived = perceived
        self._store = None
        if images is not None:
            self._store = ImageStore(dataroot, images.width, images.height, augmentation.resize[1], cache)

    def __len__(self) -> int:
        """Number of frames."""
        return sum(section.last - section.first for section in self._sections)

    def __getitem__(self, request: FrameRequest) -> LoadedBatch[TrainingBatch]:
        """The frame asked for; where it cannot be read, the nearest of its sequence that can be.

        Raises:
            DatasetError: no frame of the sequence can be read.
        """
        section = self._sections[request.section]
        scene = self._scenes[section.scene]
        return first_readable(
            sorted(range(section.first, section.last), key=lambda k: abs(k - request.key_frame)),
            lambda k: self._frame(scene, k, request),
            lambda k: f"{scene.name}/{scene.tokens[k]}",
            f"the sequence {section.first} to {section.last - 1} of {scene.name}",
        )

    def _frame(self, scene: SceneTargets, key_frame: int, request: FrameRequest) -> TrainingBatch:
        if self._limits is not None:
            self._limits.check(scene, key_frame)
        view = self._view(request)
        batch = annotation_batch(scene, key_frame, request.restart, view)
        if self._perceived is not None:
            batch = replace(batch, perceived=self._perceived.frame(scene, key_frame))
        if self._settings is None or self._store is None:
            return batch
        colours = None
        if self._augmentation.photometric:
            colours = np.random.default_rng([self._seed, _COLOURS, request.iteration, request.lane])
        cameras = camera_batch(scene, key_frame, view, self._settings, self._store, self._dataroot, colours)
        return replace(batch, cameras=cameras)

    def _view(self, request: FrameRequest) -> View:
        return draw_view(self._augmentation, np.random.default_rng([self._seed, _VIEW, request.draw]))


def collate(frames: Sequence[LoadedBatch[TrainingBatch]]) -> LoadedBatch[TrainingBatch]:
    """The lanes of an iteration side by side."""
    return LoadedBatch(join([f.batch for f in frames]), tuple(note for f in frames for note in f.skipped))
