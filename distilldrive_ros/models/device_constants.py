"""Numbers that are known beforehand, as tensors on a device.

Making a tensor of Python numbers on a GPU copies them there from ordinary memory: the GPU's queue waits for that, and a
CUDA graph cannot hold it. So it happens once per device and process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor


def device_constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Tensor of nested tuples of numbers. Every caller gets the same one: never change it in place."""
    if torch.compiler.is_compiling():
        # While a program is traced nothing real can be made, and what is made must not outlive the trace.
        return torch.tensor(values, dtype=dtype, device=device)
    return _kept(values, dtype, device)


@cache
def _kept(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Kept for good: a CUDA graph holds nothing but the address. There are a few per network.
    # A tensor made in inference mode could not be used for training later.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
