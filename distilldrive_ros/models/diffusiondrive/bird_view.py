"""The network's map of classes as a picture, for debugging (spec 2.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Background, road, walkway, centre line, static object, vehicle, pedestrian.
_COLORS = np.array(
    [[24, 24, 28], [90, 94, 102], [126, 110, 88], [230, 200, 90], [200, 110, 50], [70, 140, 230], [225, 75, 85]],
    np.uint8,
)


def class_picture(classes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Class ids [R, C], rows along x, columns along y -> picture [R, C, 3] with ahead at the top, left on the left."""
    return np.ascontiguousarray(_COLORS[classes[::-1, ::-1]])
