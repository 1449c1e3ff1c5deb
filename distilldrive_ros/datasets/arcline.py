"""Centre lines of the nuScenes map expansion: paths of circular arcs and straight pieces, turned into points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TURN = {"L": 1.0, "S": 0.0, "R": -1.0}


def discretize_arclines(path: Sequence[Mapping[str, Any]], resolution: float) -> NDArray[np.float64]:
    """Points (N, 2) along a chain of arc-lines, start and end included, at most `resolution` metres apart.

    Args:
        path: elements of `arcline_path_3`: `start_pose` (x, y, yaw), `shape` such as "LSR" (left arc, straight, right
            arc), `radius` of its arcs in metres, `segment_length` of its three pieces in metres.
        resolution: metres.

    Raises:
        KeyError, ValueError, TypeError: an element lacks a field or holds another shape.
    """
    points: list[NDArray[np.float64]] = []
    for element in path:
        x, y, yaw = (float(v) for v in element["start_pose"])
        if not points:
            points.append(np.array([[x, y]]))
        for letter, length in zip(element["shape"], element["segment_length"], strict=True):
            if length <= 0:
                continue
            curvature = _TURN[letter] / float(element["radius"])
            along = np.linspace(0.0, length, max(1, math.ceil(length / resolution)) + 1)[1:]
            piece = _advance(x, y, yaw, curvature, along)
            points.append(piece)
            (x, y), yaw = piece[-1], yaw + curvature * length
    return np.concatenate(points) if points else np.zeros((0, 2))


def _advance(x: float, y: float, yaw: float, curvature: float, along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) at distances `along` on an arc, or on a straight line where the curvature is zero."""
    if curvature == 0.0:
        return np.stack([x + along * math.cos(yaw), y + along * math.sin(yaw)], axis=-1)
    angles = yaw + curvature * along
    return np.stack(
        [x + (np.sin(angles) - math.sin(yaw)) / curvature, y - (np.cos(angles) - math.cos(yaw)) / curvature], axis=-1
    )
