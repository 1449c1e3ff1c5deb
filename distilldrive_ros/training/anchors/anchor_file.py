"""Anchor files: `.npz` with the arrays of `ClusteredAnchors`, made by `distilldrive train anchors`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.distilldrive.anchors import AnchorSet
from distilldrive_ros.models.distilldrive.config import BOX_SIZE, NUM_COMMANDS, DistillDriveConfig
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.anchors.clustering import ClusteredAnchors
from distilldrive_ros.training.whole_files import write_whole_file

ARRAYS = ("detection", "map", "motion", "plan", "diffusion")


def write_anchors(path: Path, anchors: ClusteredAnchors) -> None:
    """Write the arrays, whole or not at all. Raises StorageError where the disk does not take them."""
    arrays: dict[str, NDArray[np.float32]] = {name: getattr(anchors, name) for name in ARRAYS}
    write_whole_file(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays))


def read_anchors(path: Path, config: DistillDriveConfig) -> AnchorSet:
    """Anchors for a network of that configuration.

    Raises:
        ConfigurationError: the file is absent, damaged, of another configuration, or holds NaN or infinity.
    """
    motion, lines = config.motion, config.map
    expected = {
        "detection": (config.detection.num_anchors, BOX_SIZE),
        "map": (lines.num_anchors, lines.num_points, 2),
        "motion": (len(CLASS_NAMES), motion.agent_modes, motion.agent_steps, 2),
        "plan": (NUM_COMMANDS, motion.ego_modes, motion.ego_steps, 2),
    }
    found = _read(path, expected, config.name, f"make one with `distilldrive train anchors --model {config.name}`")
    return AnchorSet(found["detection"], found["map"].flatten(1), found["motion"], found["plan"])


def read_drive_modes(path: Path, config: DiffusionDriveConfig) -> Tensor:
    """Drives [anchors, points, 2] in base_link (m) that the camera+LiDAR model starts from.

    Raises:
        ConfigurationError: as `read_anchors`.
    """
    expected = {"diffusion": (config.num_anchors, config.num_points, 2)}
    return _read(path, expected, config.name, "make one with `distilldrive train anchors`")["diffusion"]


def _read(path: Path, expected: Mapping[str, tuple[int, ...]], owner: str, remedy: str) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in expected}
    except FileNotFoundError as error:
        raise ConfigurationError(f"anchor file {path} does not exist; {remedy}") from error
    except KeyError as error:
        raise ConfigurationError(f"anchor file {path} lacks an array: {error.args[0]}; {remedy}") from error
    except (OSError, EOFError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"anchor file {path} is no .npz file of arrays ({error}); {remedy}") from error
    for name, shape in expected.items():
        if found[name].shape != shape:
            raise ConfigurationError(
                f"anchor file {path} is of another configuration: {name} is {found[name].shape}, {owner} has {shape}; "
                f"{remedy}"
            )
        if not (np.issubdtype(found[name].dtype, np.floating) and np.isfinite(found[name]).all()):
            raise ConfigurationError(f"anchor file {path}: {name} holds NaN, infinity or no numbers; {remedy}")
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in found.items()}
