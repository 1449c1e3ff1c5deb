"""Progress, lane keeping, driving direction and traffic lights (spec 7.4, 7.7)."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.world import RedLight

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIRECTION_WINDOW = 11
DIRECTION_LIMITS_M = (2.0, 6.0)
LANE_KEEPING_LIMIT_M = 0.5
LANE_KEEPING_STATES = 20


def progress_along(line: Array, centers: Array) -> Array:
    """Metres (P,) gained along a line (K, 2) from the first to the last centre (P, T, 2); never negative."""
    path = shapely.LineString(line)
    start = shapely.line_locate_point(path, shapely.points(centers[:, 0]))
    end = shapely.line_locate_point(path, shapely.points(centers[:, -1]))
    return np.maximum(0.0, end - start)


def driving_direction(centers: Array, oncoming: Mask) -> Array:
    """Score (P,): 1, 0.5 or 0 by the largest distance driven against the traffic within one second."""
    moved = np.zeros(oncoming.shape)
    moved[:, 1:] = np.linalg.norm(np.diff(centers, axis=1), axis=-1)
    total = np.cumsum(np.where(oncoming, moved, 0.0), axis=1)
    before = np.zeros_like(total)
    before[:, DIRECTION_WINDOW:] = total[:, :-DIRECTION_WINDOW]
    worst = (total - before).max(axis=1)
    slight, severe = DIRECTION_LIMITS_M
    return np.where(worst < slight, 1.0, np.where(worst < severe, 0.5, 0.0))


def lane_keeping(line: Array, centers: Array, intersection: Mask, reset: bool = False) -> Array:
    """Score (P,): 0 where the centre is off the line for two seconds without a pause.

    States in an intersection do not count. `reset`: whether they are a pause, see `fidelity.Fidelity`.
    """
    path = shapely.LineString(line)
    shapely.prepare(path)
    points = shapely.points(centers.reshape(-1, 2))
    off = ~shapely.dwithin(points, path, LANE_KEEPING_LIMIT_M).reshape(intersection.shape)
    run, longest = np.zeros(len(centers), np.int64), np.zeros(len(centers), np.int64)
    for step in range(intersection.shape[1]):
        skipped = intersection[:, step]
        counted = np.where(off[:, step], run + 1, 0)
        run = np.where(skipped, 0 if reset else run, counted)
        longest = np.maximum(longest, run)
    return np.where(longest >= LANE_KEEPING_STATES, 0.0, 1.0)


def traffic_lights(corners: Array, lights: tuple[RedLight, ...]) -> Array:
    """Score (P,): 0 where the body (P, T, 4, 2) ever touches a closed connector, also where it starts on it."""
    out = np.ones(len(corners))
    if not lights:
        return out
    low, high = corners.min(axis=2), corners.max(axis=2)
    for light in lights:
        shapely.prepare(light.polygon)
        steps = min(corners.shape[1], len(light.red))
        x0, y0, x1, y1 = light.polygon.bounds
        near = (high >= [x0, y0]).all(axis=-1) & (low <= [x1, y1]).all(axis=-1)
        row, step = np.nonzero(near[:, :steps] & light.red[:steps])
        out[row[shapely.intersects(shapely.polygons(corners[row, step]), light.polygon)]] = 0.0
    return out
