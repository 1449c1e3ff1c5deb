"""A frozen perception's one look at all scenes of a training, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from distilldrive_ros.models.distilldrive.engine import StudentEngine
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.pipeline.augmentation import View
from distilldrive_ros.training.pipeline.frames import ImageSettings, annotation_batch, camera_batch
from distilldrive_ros.training.pipeline.image_store import ImageStore
from distilldrive_ros.training.pipeline.perceived_scenes import PerceivedScenes, perception_fingerprint
from distilldrive_ros.training.stages.perception import MOTION_PREFIX
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.stages import frozen_perception


def look_at_scenes(
    config: TrainConfig, scenes: Sequence[SceneTargets], device: torch.device, progress: Callable[[str], object]
) -> PerceivedScenes:
    """What `model.perception_weights` sees of the scenes, from the cache where weights and scenes are the same.

    Stopped at any moment, it goes on with the scene it was at.

    Raises:
        ConfigurationError: the preset is unknown.
        CheckpointError: the weight file cannot be used.
        StorageError: the cache cannot be written to.
    """
    network = frozen_perception(config)
    perceived = PerceivedScenes(config.data.cache, perception_fingerprint(network, without=MOTION_PREFIX))
    missing = [scene for scene in scenes if not perceived.has(scene)]
    if missing:
        size = (network.config.image_width, network.config.image_height)
        settings, store = ImageSettings(*size, depth=False), ImageStore(config.data.dataroot, *size, 1.0, None)
        engine = StudentEngine(network.to(device))
        for scene in missing:
            perceived.look(scene, _key_frames(scene, settings, store, config.data.dataroot), engine, device)
            progress(f"{scene.name} seen")
    return perceived


def _key_frames(
    scene: SceneTargets, settings: ImageSettings, store: ImageStore, dataroot: Path
) -> Iterator[TrainingBatch | None]:
    for key_frame in range(scene.key_frames):
        try:
            cameras = camera_batch(scene, key_frame, View(), settings, store, dataroot, None)
        except SensorDataError:
            yield None
        else:
            yield replace(annotation_batch(scene, key_frame, key_frame == 0, View()), cameras=cameras)
