"""Frames of DiffusionDrive kept on disk: decoding and remapping the pictures is most of the work of loading one."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import distilldrive_ros.datasets as datasets_package
import distilldrive_ros.geometry as geometry_package
import distilldrive_ros.models.diffusiondrive as model_package
import distilldrive_ros.training.diffusion as diffusion_package
import distilldrive_ros.training.targets as targets_package
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.lidar_histogram import MAX_COUNT
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.targets.scene_files import tables_fingerprint
from distilldrive_ros.training.whole_files import write_whole_file

_PACKAGES = (datasets_package, geometry_package, model_package, diffusion_package, targets_package)
_GREYS = 255
# Kept as they are, by name of the batch's entry.
_PLAIN = ("status", "trajectory", "known", "agents", "agent_present")


class FrameStore:
    """Batches of one frame, in one file each.

    A frame is found again as long as its four sensor files (place, size and time), the tables and maps of the root, the
    sizes of the network and the code that prepares frames are the same. Pictures are kept with 8 bits per colour,
    which `in_steps` rounds them to with and without a store. Files are written whole or not at all; several processes
    may share a cache.
    """

    def __init__(self, cache: Path, nuscenes: NuScenes, config: DiffusionDriveConfig) -> None:
        """Frames of one root for one network, in a folder of `cache`."""
        settings = [config.image_width, config.image_height, config.lidar_cells, config.lidar_range, config.num_agents]
        self._folder = cache / f"diffusion-{tables_fingerprint(nuscenes, settings, _PACKAGES)}"

    def path(self, sample: str, files: Sequence[Path]) -> Path | None:
        """Where a frame belongs; None where one of its files is missing."""
        digest = hashlib.sha256(sample.encode())
        for file in files:
            try:
                state = file.stat()
            except OSError:
                return None
            digest.update(f"{file.resolve()} {state.st_size} {state.st_mtime_ns}".encode())
        name = digest.hexdigest()[:32]
        return self._folder / name[:2] / f"{name[2:]}.npz"

    def load(self, path: Path, token: str) -> DiffusionBatch | None:
        """The frame of a file; None where it is absent or damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                kept: dict[str, Any] = {name: torch.from_numpy(file[name]) for name in file.files}
            return DiffusionBatch(
                tokens=(token,),
                camera=kept["camera"].float() / _GREYS,
                lidar=kept["lidar"].float() / MAX_COUNT,
                bev=kept["bev"].long(),
                **{name: kept[name] for name in _PLAIN},
            )
        except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile):
            return None

    def save(self, path: Path, batch: DiffusionBatch) -> None:
        """Keep a frame. Raises StorageError where the disk does not take it."""
        arrays: dict[str, Any] = {name: getattr(batch, name).numpy() for name in _PLAIN}
        arrays["camera"] = (batch.camera * _GREYS).round().byte().numpy()
        arrays["lidar"] = (batch.lidar * MAX_COUNT).round().byte().numpy()
        arrays["bev"] = batch.bev.byte().numpy()
        write_whole_file(path, lambda stream: np.savez_compressed(stream, **arrays))


def in_steps(camera: torch.Tensor) -> torch.Tensor:
    """A picture in 0..1 rounded to 8 bits per colour, as the JPEG files had them."""
    return (camera * _GREYS).round() / _GREYS
