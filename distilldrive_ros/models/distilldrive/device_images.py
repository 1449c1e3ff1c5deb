"""Image path of a GPU: threads decode into pinned memory, the device resizes and normalises (spec 2.3).

The resize is that of `preprocess`, PIL's: bicubic with anti-aliasing, first along the rows, then along the columns,
each rounded to 8 bits, halves up. PIL's weights have 22 bits, here all is float32: one pixel in a thousand is one count
off.
"""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distilldrive_ros.models.device_constants import device_constant
from distilldrive_ros.models.distilldrive.preprocess import MEAN, STD, as_image, image_geometry

_LARGEST_COUNT = 255


class DeviceImages:
    """Prepares the images of a set on a device, in place of `preprocess.prepare_images`.

    It has a stream of its own there, so that a set may be prepared while the network works on the one before.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(
        self, images: list[bytes | NDArray[np.uint8] | None], out_width: int, out_height: int, executor: Executor
    ) -> tuple[Tensor, list[tuple[int, int]]]:
        """As `preprocess.prepare_images`, with the result on the device and complete. Raises SensorDataError."""
        decoded = list(executor.map(lambda data: None if data is None else as_image(data), images))
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(decoded):
            if image is not None:
                by_size.setdefault(image.size, []).append(index)
        with self._on_stream():
            out = torch.zeros(len(images), 3, out_height, out_width, device=self._device)
            for rows in by_size.values():
                pixels = self._upload([image for row in rows if (image := decoded[row]) is not None], executor)
                for row, image in zip(rows, normalized(resized(pixels, out_width, out_height)), strict=True):
                    out[row] = image
        if self._stream is not None:
            self._stream.synchronize()
        return out, [(0, 0) if image is None else image.size for image in decoded]

    def _upload(self, images: list[Image.Image], executor: Executor) -> Tensor:
        """Images of one size -> [n, H, W, 3] uint8 on the device, maybe still under way there."""
        width, height = images[0].size
        # PyTorch keeps pinned memory, and does not hand it out again before the device has read it.
        host = torch.empty(len(images), height, width, 3, dtype=torch.uint8, pin_memory=self._stream is not None)
        list(executor.map(lambda pair: np.copyto(pair[0], np.asarray(pair[1])), zip(host.numpy(), images, strict=True)))
        return host.to(self._device, non_blocking=True)

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def resized(pixels: Tensor, out_width: int, out_height: int) -> Tensor:
    """The network's view of RGB images: [n, H, W, 3] uint8 -> [n, 3, out_height, out_width] float32, whole counts.

    Of pictures no higher than wide it is PIL's to one count, where they are enlarged to two. With taller ones Pillow 13
    may take its two passes in the other order; on noise that makes up to twenty counts.

    Raises SensorDataError: the images have an absurd size.
    """
    geometry = image_geometry(pixels.shape[2], pixels.shape[1], out_width, out_height)
    counts = pixels.permute(0, 3, 1, 2).float()
    for size in ((counts.shape[2], geometry.resized_width), (geometry.resized_height, geometry.resized_width)):
        if tuple(counts.shape[2:]) != size:
            counts = F.interpolate(counts, size=size, mode="bicubic", align_corners=False, antialias=True)
            counts = counts.add_(0.5).floor_().clamp_(0, _LARGEST_COUNT)
    left, top = geometry.left, geometry.top
    return counts[:, :, top : top + out_height, left : left + out_width]


def normalized(counts: Tensor) -> Tensor:
    """(RGB - mean) / std of counts [n, 3, H, W]."""
    mean, std = (device_constant(values, torch.float32, counts.device)[:, None, None] for values in (MEAN, STD))
    return (counts - mean) / std
