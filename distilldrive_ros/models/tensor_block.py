"""Tensors of a nested dataclass side by side in one piece of memory, so that one copy moves them all."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.state import map_tensors, named_tensors

_ALIGNMENT = 256

_Value = TypeVar("_Value")


class TensorBlock(Generic[_Value]):
    """Memory for one value of a kind. `memory` [bytes] uint8; `tensors`: the value that lies there, at fixed addresses.

    `like` gives the layout: names, shapes and number types. All tensors are contiguous. None and other things that are
    no tensors stay as they are.
    """

    def __init__(self, like: _Value, device: torch.device) -> None:
        self._like = map_tensors(like, lambda tensor: tensor.to("meta"))
        size = sum(_room(tensor) for tensor in named_tensors(self._like).values())
        self.memory = torch.zeros(size, dtype=torch.uint8, device=device)
        self.tensors = self._lay_out(self.memory)

    def fill(self, value: _Value) -> None:
        """Copy a value in, from any device; what comes from pinned memory may still be under way afterwards.

        Raises:
            ValueError: names the first tensor that is absent, or whose shape or number type is another one.
        """
        mine, theirs = named_tensors(self.tensors), named_tensors(value)
        if mine.keys() != theirs.keys():
            raise ValueError(f"{', '.join(sorted(mine.keys() ^ theirs.keys()))}: there or absent, unlike before")
        for name, target in mine.items():
            source = theirs[name]
            if source.shape != target.shape or source.dtype != target.dtype:
                raise ValueError(
                    f"{name} is {tuple(source.shape)} {source.dtype}, expected {tuple(target.shape)} {target.dtype}"
                )
            target.copy_(source, non_blocking=True)

    def copied(self) -> _Value:
        """The value in memory of its own, on the same device."""
        return self._lay_out(self.memory.clone())

    def copied_to_host(self) -> _Value:
        """The value in memory of its own on the CPU; waits for the device."""
        if self.memory.device.type != "cuda":
            return self._lay_out(self.memory.to("cpu", copy=True))
        # PyTorch keeps pinned memory for the next time; asking for it anew is cheap.
        host = torch.empty(self.memory.shape, dtype=torch.uint8, pin_memory=True)
        host.copy_(self.memory, non_blocking=True)
        torch.cuda.current_stream(self.memory.device).synchronize()
        return self._lay_out(host)

    def _lay_out(self, memory: Tensor) -> _Value:
        """The value over some memory of the block's size."""
        place = 0

        def view(tensor: Tensor) -> Tensor:
            nonlocal place
            start = place
            place += _room(tensor)
            return memory[start : start + tensor.numel() * tensor.element_size()].view(tensor.dtype).view(tensor.shape)

        return map_tensors(self._like, view)


def _room(tensor: Tensor) -> int:
    """Bytes that a tensor takes in a block, up to where the next one may begin."""
    return -(-tensor.numel() * tensor.element_size() // _ALIGNMENT) * _ALIGNMENT
