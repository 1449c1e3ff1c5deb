"""The network's picture: three front cameras cropped, set side by side and reduced (spec 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.models.diffusiondrive.config import CANVAS_HEIGHT, CANVAS_WIDTH

SOURCE_WIDTH, SOURCE_HEIGHT = 1920, 1080
"""Pixels of the cameras that the networks were trained with."""

REDUCTION = 4
_TOP = 28
_SIDE_MARGIN = 416


@dataclass(frozen=True)
class CanvasSlot:
    """Where one camera goes: canvas columns from `column` on, `width` of them, from source column `left` on."""

    column: int
    width: int
    left: int


SLOTS = (
    CanvasSlot(0, 272, _SIDE_MARGIN),
    CanvasSlot(272, 480, 0),
    CanvasSlot(752, 272, _SIDE_MARGIN),
)
"""Left, front, right."""


def stitch(images: tuple[NDArray[np.uint8] | None, ...]) -> NDArray[np.float32]:
    """Left, front and right image [1080, 1920, 3] uint8 RGB -> canvas [3, 256, 1024] in 0..1; None stays black.

    A reduction by four takes the mean of the four middle pixels of each block, rounded half up to 8 bits: what bilinear
    interpolation without anti-aliasing gives.
    """
    canvas = np.zeros((CANVAS_HEIGHT, CANVAS_WIDTH, 3), np.uint8)
    for slot, image in zip(SLOTS, images, strict=True):
        if image is None:
            continue
        width = slot.width * REDUCTION
        crop = image[_TOP : _TOP + CANVAS_HEIGHT * REDUCTION, slot.left : slot.left + width]
        middle = [crop[row::REDUCTION, column::REDUCTION] for row in (1, 2) for column in (1, 2)]
        total = np.sum(middle, axis=0, dtype=np.uint16)
        canvas[:, slot.column : slot.column + slot.width] = (total + 2) // 4
    return np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32) / np.float32(255)


def source_centers(slot: CanvasSlot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Source columns (width,) and rows (256,) in pixels at which bilinear sampling gives what `stitch` averages."""
    middle = (REDUCTION - 1) / 2
    columns = np.arange(slot.width, dtype=np.float64)
    rows = np.arange(CANVAS_HEIGHT, dtype=np.float64)
    return slot.left + REDUCTION * columns + middle, _TOP + REDUCTION * rows + middle
