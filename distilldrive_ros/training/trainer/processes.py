"""The processes that train together, as `torchrun` starts them; one where it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from distilldrive_ros.models.devices import resolve_device
from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class Processes:
    """Number `rank` of `world_size`, with its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """The one that writes files and shows progress."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module whose gradients are averaged over all processes."""
        if self.world_size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def wait(self) -> None:
        """Until all are here."""
        if self.world_size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether it is true for one of them."""
        return bool(self.mean(torch.tensor([float(flag)]))[0] > 0)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over all of them, on the CPU."""
        if self.world_size == 1:
            return values.cpu()
        shared = values.to(self.device)
        dist.all_reduce(shared)
        return (shared / self.world_size).cpu()


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Meet the others that torchrun started; alone where it did not.

    Raises:
        ConfigurationError: the device is not there, or the others cannot be reached.
    """
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    place = torch.device(resolve_device(device))
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if world_size == 1:
        yield Processes(0, 1, place)
        return
    try:
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"the {world_size} processes do not find each other: {error}; use torchrun") from error
    try:
        yield Processes(rank, world_size, place)
    finally:
        dist.destroy_process_group()
