"""Key frames of scenes as training batches of DiffusionDrive: what inference would see, and what was to be done."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import Dataset

from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.models.diffusiondrive.adapter import RigCache, prepare_inputs, status_tensor
from distilldrive_ros.models.diffusiondrive.config import NUSCENES_CAMERAS, DiffusionDriveConfig
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.frame_store import FrameStore, in_steps
from distilldrive_ros.training.diffusion.map_picture import PictureSize, map_picture
from distilldrive_ros.training.diffusion.sensors import key_frame_files, key_frame_set
from distilldrive_ros.training.diffusion.surroundings import boxes_in_base, map_shapes, nearest_vehicles
from distilldrive_ros.training.targets.ego import DRIVE_STEPS, EGO_STEP_S, ego_drive


class DiffusionFrames(Dataset[DiffusionBatch]):
    """All key frames of some scenes, batches of one frame each; `join_frames` puts them together.

    Pictures and the LiDAR map are prepared by the code that inference runs, the pictures then rounded to 8 bits.
    """

    def __init__(
        self, scenes: Sequence[SceneSource], config: DiffusionDriveConfig, store: FrameStore | None = None
    ) -> None:
        """`store` keeps what was prepared. Raises ConfigurationError when the network plans other steps than the
        targets have."""
        if (config.num_points, config.step_seconds) != (DRIVE_STEPS, EGO_STEP_S):
            raise ConfigurationError(
                f"{config.name} plans {config.num_points} points of {config.step_seconds} s, the targets are "
                f"{DRIVE_STEPS} of {EGO_STEP_S} s; choose a preset with these"
            )
        self._scenes = list(scenes)
        self._config = config
        self._store = store
        self._rigs = RigCache()
        self._index = [(s, k) for s, scene in enumerate(self._scenes) for k in range(len(scene.key_frames))]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._index)

    def __getitem__(self, index: int) -> DiffusionBatch:
        """One frame.

        Raises:
            SensorDataError: a sensor or a file is missing or damaged.
            DatasetError: a table or the map is wrong.
            StorageError: the store cannot be written to.
        """
        scene, key_frame = self._index[index]
        source = self._scenes[scene]
        sample = source.key_frames[key_frame].sample.token
        token = f"{source.scene.name}/{sample}"
        if self._store is None:
            return self._prepared(source, key_frame, token)
        path = self._store.path(sample, key_frame_files(source, key_frame, NUSCENES_CAMERAS))
        kept = None if path is None else self._store.load(path, token)
        if kept is not None:
            return kept
        batch = self._prepared(source, key_frame, token)
        if path is not None:
            self._store.save(path, batch)
        return batch

    def _prepared(self, source: SceneSource, key_frame: int, token: str) -> DiffusionBatch:
        frame = key_frame_set(source, key_frame, NUSCENES_CAMERAS)
        with ThreadPoolExecutor(max_workers=1) as executor:
            prepared = prepare_inputs(frame, self._config, executor, self._rigs)
        world_from_base = frame.world_from_base
        reach, side = self._config.lidar_range, self._config.lidar_cells
        boxes, classes = boxes_in_base(source.boxes, key_frame, inverse(world_from_base))
        agents, present = nearest_vehicles(boxes, classes, self._config.num_agents, reach)
        picture = map_picture(
            source.expansion, world_from_base, map_shapes(boxes, classes), PictureSize(side // 2, reach)
        )
        drive, valid = ego_drive(source.track, frame.stamp_ns)
        return DiffusionBatch(
            (token,),
            in_steps(prepared.camera),
            prepared.lidar,
            status_tensor(frame, frame.ego.acceleration),
            torch.from_numpy(drive.astype(np.float32))[None],
            torch.tensor([bool(valid.all())]),
            torch.from_numpy(agents)[None],
            torch.from_numpy(present)[None],
            torch.from_numpy(picture)[None],
        )
