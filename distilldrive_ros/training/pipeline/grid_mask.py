"""Grid mask: square holes in all pictures of a batch (spec 2.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CANVAS = 1.5
_RATIO = 0.5


def draw_grid_mask(height: int, width: int, probability: float, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """Mask (height, width) of ones with zeros where pictures are blanked out, or None.

    Stripes of a random pitch, in both directions, on a canvas of 1.5 times the size; what no stripe covers is blanked.
    """
    if rng.random() >= probability:
        return None
    pitch = int(rng.integers(2, height))
    stripe = min(max(int(pitch * _RATIO + 0.5), 1), pitch - 1)
    rows, columns = (int(_CANVAS * side) for side in (height, width))
    canvas = np.zeros((rows, columns), np.float32)
    canvas[(np.arange(rows) - int(rng.integers(pitch))) % pitch < stripe] = 1
    canvas[:, (np.arange(columns) - int(rng.integers(pitch))) % pitch < stripe] = 1
    top, left = (rows - height) // 2, (columns - width) // 2
    return canvas[top : top + height, left : left + width]
