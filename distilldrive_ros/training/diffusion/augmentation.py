"""What training changes about a frame of DiffusionDrive: colours, and left for right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.adapter import COMMAND_INDEX
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.losses import nearest_anchor
from distilldrive_ros.training.pipeline.photometric import distort

_GREYS = 255.0
_MIRROR_IMAGE_M = 1.0
_VY, _AY = 5, 7
# Entries that change their sign, y and heading, of x, y, heading and more.
_Y, _HEADING = 1, 2


@dataclass(frozen=True)
class DiffusionAugmentation:
    """Nothing by default, as published.

    `photometric`: brightness, contrast and colours, the three cameras alike. `mirror`: probability that left and right
    are exchanged in everything. A mirrored world drives on the other side of the road: for data of both kinds of
    traffic, or of none.

    Raises ConfigurationError from the constructor when the probability is none.
    """

    photometric: bool = False
    mirror: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.mirror <= 1.0:
            raise ConfigurationError(f"mirror is {self.mirror!r}; it is a probability, from 0 to 1")


NO_CHANGE = DiffusionAugmentation()
"""The frame as inference sees it."""


def augmented(batch: DiffusionBatch, augmentation: DiffusionAugmentation, rng: np.random.Generator) -> DiffusionBatch:
    """A batch of one frame, changed as drawn."""
    turned = bool(rng.random() < augmentation.mirror)
    if augmentation.photometric:
        picture = batch.camera[0].permute(1, 2, 0).numpy() * np.float32(_GREYS)
        changed = distort(picture, rng).clip(0.0, _GREYS) / np.float32(_GREYS)
        batch = replace(batch, camera=torch.from_numpy(np.ascontiguousarray(changed.transpose(2, 0, 1)))[None])
    return mirrored(batch) if turned else batch


def mirrored(batch: DiffusionBatch) -> DiffusionBatch:
    """Left and right exchanged: picture (its three slots lie symmetrically), LiDAR map, status and command, drive,
    vehicles and map."""
    order = list(range(batch.status.shape[-1]))
    left, right = COMMAND_INDEX[Command.LEFT], COMMAND_INDEX[Command.RIGHT]
    order[left], order[right] = right, left
    return replace(
        batch,
        camera=batch.camera.flip(-1),
        lidar=batch.lidar.flip(-1),
        status=_negated(batch.status[:, order], (_VY, _AY)),
        trajectory=_negated(batch.trajectory, (_Y, _HEADING)),
        agents=_negated(batch.agents, (_Y, _HEADING)),
        bev=batch.bev.flip(-1),
    )


def require_mirror_images(anchors: Tensor) -> None:
    """Anchors [N, P, 2] that start as near to a mirrored drive as to the drive itself.

    Raises ConfigurationError: one has no mirror image among them.
    """
    images = _negated(anchors, (_Y,))
    near = anchors[nearest_anchor(anchors, images)]
    away = (near - images).norm(dim=-1).mean(dim=-1)
    if bool((away > _MIRROR_IMAGE_M).any()):
        raise ConfigurationError(
            f"diffusion_augmentation.mirror needs anchors that are the same to both sides; anchor {int(away.argmax())} "
            f"is {float(away.max()):.1f} m (mean over its points) from the nearest mirror image; set mirror to 0, or "
            f"leave model.anchors out"
        )


def _negated(values: Tensor, entries: tuple[int, ...]) -> Tensor:
    signs = torch.ones(values.shape[-1], device=values.device)
    signs[list(entries)] = -1.0
    return values * signs
