"""No memory left on the device: one error of ours, and everything that the step had taken is given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from distilldrive_ros.scene.errors import DeviceMemoryError

_Result = TypeVar("_Result")


def with_memory_guard(step: Callable[[], _Result], model_id: str, device: str) -> _Result:
    """Result of `step`; the model is as usable after a failure as before.

    Raises:
        DeviceMemoryError: the device has no memory left.
    """
    try:
        return step()
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        out_of_memory = str(error).splitlines()[0]
    # Outside the handler: the exception holds the step's frames, and with them their tensors.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    raise DeviceMemoryError(
        f"{model_id} found no memory on {device} ({out_of_memory}); close other programs that use the "
        f"{'GPU' if device != 'cpu' else 'memory'}, choose a smaller model, or another device"
    )


def _is_out_of_memory(error: Exception) -> bool:
    """The CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)
