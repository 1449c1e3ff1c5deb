"""Sine codes of way-points, headings and diffusion time (spec 4.4 and 5.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.config import POINT_CODE_SIZE

_TEMPERATURE = 10_000.0


def point_code(points: Tensor) -> Tensor:
    """Way-points [..., P, 2] in metres -> [..., P * 64]: for each point the codes of y, then of x."""
    half = POINT_CODE_SIZE // 2
    angle = 2 * math.pi * points.flip(-1)[..., None] / _divisors(half, points)
    return _interleaved(angle).flatten(-3)


def heading_code(yaw: Tensor) -> Tensor:
    """Headings [..., P] in radians -> [..., P * 64]: sine and cosine of the heading over each divisor."""
    pairs = yaw[..., None] / _divisors(POINT_CODE_SIZE // 2, yaw)
    return torch.stack([pairs.sin(), pairs.cos()], dim=-1).flatten(-3)


def _divisors(count: int, like: Tensor) -> Tensor:
    index = torch.arange(count, device=like.device, dtype=like.dtype)
    return _TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / count)


def _interleaved(angle: Tensor) -> Tensor:
    """Sine of even, cosine of odd entries of the last dimension."""
    return torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], dim=-1).flatten(-2)


class TimeCode(nn.Module):
    """Sinusoid of the diffusion timestep."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, timestep: Tensor) -> Tensor:
        """Timesteps [B] -> [B, width]."""
        half = self.width // 2
        step = math.log(_TEMPERATURE) / (half - 1)
        frequency = torch.exp(torch.arange(half, device=timestep.device, dtype=torch.float32) * -step)
        angle = timestep.float()[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=-1)
