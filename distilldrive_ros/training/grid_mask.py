"""GridMask: a grid of holes in the training images (spec 2.4)."""

from __future__ import annotations

import torch
from torch import Tensor

_CANVAS = 1.5


def grid_mask(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Mask [height, width] of 0 and 1: 1 on the stripes of a random grid, 0 in the squares between them.

    The period is drawn from 2 to `height` - 1 pixels, half of it (rounded) is stripe; phases are random, too.
    """
    period = _draw(2, max(height, 3), generator)
    stripe = min(max(int(period * 0.5 + 0.5), 1), period - 1)
    rows = _stripes(height, period, stripe, generator)
    columns = _stripes(width, period, stripe, generator)
    return (rows[:, None] | columns[None]).float()


def _stripes(size: int, period: int, stripe: int, generator: torch.Generator) -> Tensor:
    """Which pixels of the centre of a larger canvas lie on a stripe, [size] bool."""
    canvas = int(_CANVAS * size)
    phase = _draw(0, period, generator)
    start = (canvas - size) // 2
    position = torch.arange(start, start + size)
    return (position - phase) % period < stripe


def mask_images(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """With this probability the same mask on all images [..., H, W] and channels."""
    if torch.rand((), generator=generator) >= probability:
        return images
    height, width = images.shape[-2:]
    return images * grid_mask(height, width, generator).to(images.device, images.dtype)


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high, (), generator=generator))
