"""Metres to the diffusion's units and back; v1 and V2 differ (spec 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from distilldrive_ros.models.device_constants import device_constant
from distilldrive_ros.models.diffusiondrive.config import Variant

_V2_SCALE = (50.0, 20.0)
_V1_OFFSET = (1.2, 20.0)
_V1_SPAN = (56.9, 46.0)
_HEADING_LIMIT = 1.57


def normalize(points: Tensor, variant: Variant) -> Tensor:
    """[..., 2] metres -> units in which the training data lie in [-1, 1]."""
    if variant is Variant.V1:
        return 2 * (points + _like(points, _V1_OFFSET)) / _like(points, _V1_SPAN) - 1
    return points / _like(points, _V2_SCALE)


def denormalize(sample: Tensor, variant: Variant) -> Tensor:
    """[..., 2] units -> metres."""
    if variant is Variant.V1:
        return (sample + 1) / 2 * _like(sample, _V1_SPAN) - _like(sample, _V1_OFFSET)
    return sample * _like(sample, _V2_SCALE)


def clamped_poses(poses: Tensor) -> tuple[Tensor, Tensor]:
    """What the selector sees of poses [..., 3]: points [..., 2] within +-50 and +-20 m, yaw [...] within +-1.57 rad."""
    points = denormalize(normalize(poses[..., :2], Variant.SELECTOR).clamp(-1, 1), Variant.SELECTOR)
    yaw = torch.clamp(poses[..., 2] / _HEADING_LIMIT, -1, 1) * _HEADING_LIMIT
    return points, yaw


def _like(points: Tensor, numbers: tuple[float, float]) -> Tensor:
    return device_constant(numbers, points.dtype, points.device)
