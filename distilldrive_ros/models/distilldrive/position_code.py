"""Sinusoidal code of 2-D points (spec 6.2, item 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TEMPERATURE = 10_000.0


def sine_position_code(points: Tensor, width: int) -> Tensor:
    """Points [..., 2] in metres -> [..., width]: the code of y, then that of x, sine and cosine alternating."""
    half = width // 2
    index = torch.arange(half, dtype=points.dtype, device=points.device)
    period = _TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / half)
    angles = (points * (2 * math.pi)).unsqueeze(-1) / period
    code = torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), dim=-1).flatten(-2)
    return torch.cat((code[..., 1, :], code[..., 0, :]), dim=-1)
