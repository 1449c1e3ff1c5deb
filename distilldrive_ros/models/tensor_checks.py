"""What every network checks of its arguments: shape, number type and device, before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor


def require_tensor(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
    """Refuse an argument that is not as expected.

    Raises:
        ValueError: names the argument, what it is and what was expected.
    """
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.dtype != dtype:
        raise ValueError(f"{name} is {tensor.dtype}, expected {dtype}")
    if tensor.device != device:
        raise ValueError(f"{name} is on {tensor.device}, expected {device} as the network")
