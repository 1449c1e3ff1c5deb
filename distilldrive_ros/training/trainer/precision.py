"""Lower precision for the image network alone, as in the official training (spec 3): heads and losses stay float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_IMAGE_MODULES = ("img_backbone", "img_neck")


def lower_image_precision(module: nn.Module, device_type: str) -> None:
    """Let backbone and neck compute in bfloat16 where that is safe (autocast) and hand on float32.

    Weights, gradients and state dicts stay as they are. A module without an image network is left alone.
    """
    for name, part in module.named_modules():
        if name.rpartition(".")[2] in _IMAGE_MODULES:
            part.forward = _lowered(part.forward, device_type)


def _lowered(forward: Callable[..., Any], device_type: str) -> Callable[..., Any]:
    def run(*inputs: Any) -> Any:
        with torch.autocast(device_type, torch.bfloat16):
            return _raised(forward(*inputs))

    return run


def _raised(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float()
    return type(value)(map(_raised, value)) if isinstance(value, (tuple, list)) else value
