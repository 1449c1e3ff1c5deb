"""Number types of image networks, by the names that people type (without torch: `registry.PRECISIONS`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from distilldrive_ros.scene.errors import ConfigurationError

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_type(name: str) -> torch.dtype:
    """Number type of that name (fp32, bf16, fp16). Raises ConfigurationError for another one."""
    if name not in _TYPES:
        raise ConfigurationError(f"precision {name!r} is unknown; use one of {', '.join(_TYPES)}")
    return _TYPES[name]


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """On a GPU: float32 is float32 inside, and equal inputs give equal results.

    Convolutions and recurrent layers there round float32 to TF32 (10 bits of mantissa) unless told otherwise. Whoever
    wants to be faster says so: precision bf16 or fp16.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def check_precision(name: str, device: str) -> None:
    """Refuse what the device (cpu or cuda:N) is no good at.

    Raises:
        ConfigurationError: with what to use instead.
    """
    if precision_type(name) is torch.float16 and device == "cpu":
        raise ConfigurationError(
            "precision fp16 is for GPUs: most processors cannot compute in it and convert back and forth instead; "
            "use bf16 or fp32"
        )
    if precision_type(name) is torch.bfloat16 and device != "cpu" and not torch.cuda.is_bf16_supported():
        raise ConfigurationError(f"{device} cannot compute in bf16; use precision fp16 or fp32")
