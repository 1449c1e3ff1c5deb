"""Facades of tall buildings as textures that repeat: `BAYS` x `BAYS` windows of one style each, and which are lit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIZE, BAYS = 256, 4
BAY_M, STOREY_M = 3.0, 3.2
# Window of each style, as shares of its bay: left, right, bottom, top; and the glass.
STYLES = ((0.22, 0.78, 0.28, 0.80), (0.0, 1.0, 0.34, 0.82), (0.04, 0.96, 0.05, 0.95), (0.14, 0.60, 0.10, 0.82))
GLASS = ((0.30, 0.35, 0.40), (0.24, 0.30, 0.34), (0.36, 0.46, 0.54), (0.28, 0.30, 0.32))
LIT = (1.0, 0.84, 0.56)
LIT_SHARE = 0.28


def facade(style: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Colour (SIZE, SIZE, 3) that is multiplied with the wall's, and light (SIZE, SIZE, 3) added at night."""
    cell = SIZE // BAYS
    color = 0.94 + 0.02 * rng.normal(size=(SIZE, SIZE, 1)) + np.zeros(3)
    light = np.zeros((SIZE, SIZE, 3))
    left, right, bottom, top = (round(v * cell) for v in STYLES[style])
    for row in range(BAYS):
        # A sill under each storey.
        color[row * cell + cell - 3 : row * cell + cell - 1] *= 0.82
        for column in range(BAYS):
            rows = slice(row * cell + cell - top, row * cell + cell - bottom)
            columns = slice(column * cell + left, column * cell + right)
            tone = float(rng.uniform(0.75, 1.25))
            shine = np.linspace(1.25, 0.85, top - bottom)[:, None, None]
            color[rows, columns] = np.array(GLASS[style]) * tone * shine
            if rng.random() < 0.25:
                blind = slice(rows.start, rows.start + (top - bottom) // 2)
                color[blind, columns] = 0.72
            frame = (rows.start, slice(columns.start, columns.stop)), (rows, columns.start)
            for place in frame:
                color[place] = 0.5
            if rng.random() < LIT_SHARE:
                light[rows, columns] = np.array(LIT) * float(rng.uniform(0.35, 0.9))
    return np.clip(color, 0, 1), light
