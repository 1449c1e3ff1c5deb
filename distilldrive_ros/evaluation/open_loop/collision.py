"""Does a planned way hit anybody? The exact polygon test (spec 11.1) and the occupancy grid of ST-P3.

All in the LiDAR frame of the start: x right, y ahead. Steps are 0.5 s apart, the first at 0.5 s. The ego box is 4.084 m
by 1.85 m, its centre 0.5 m ahead of the trajectory point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from distilldrive_ros.geometry.rectangles import rectangle_corners, rectangles_overlap

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

EGO_LENGTH, EGO_WIDTH, EGO_SHIFT = 4.084, 1.85, 0.5
AHEAD = np.pi / 2
STANDSTILL_M = 0.5
# ST-P3's bird's-eye grid: 50 m to every side in cells of 0.5 m.
GRID_REACH, GRID_CELL = 50.0, 0.5


def plan_headings(points: ArrayLike) -> Array:
    """Headings (T,) of a way (T, 2) that starts at the origin.

    Central differences on the zero-prefixed way, a backward difference at the end; straight ahead throughout where the
    first and the last point are less than 0.5 m apart.
    """
    p = np.asarray(points, np.float64)
    if np.linalg.norm(p[-1] - p[0]) < STANDSTILL_M:
        return np.full(len(p), AHEAD)
    way = np.concatenate([np.zeros((1, 2)), p])
    difference = np.concatenate([way[2:] - way[:-2], way[-1:] - way[-2:-1]])
    return np.asarray(np.arctan2(difference[:, 1], difference[:, 0]))


def ego_rectangles(points: ArrayLike) -> Array:
    """Rectangles (T, 5) of the vehicle on a way (T, 2)."""
    p = np.asarray(points, np.float64)
    yaw = plan_headings(p)
    centre = p + EGO_SHIFT * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    size = np.broadcast_to([EGO_LENGTH, EGO_WIDTH], centre.shape)
    return np.concatenate([centre, size, yaw[:, None]], axis=1)


def polygon_collisions(points: ArrayLike, rectangles: ArrayLike, steps: ArrayLike) -> Flags:
    """At which steps (T,) the vehicle overlaps a rectangle of that step.

    Args:
        points: (T, 2) m.
        rectangles: (N, 5) of all steps.
        steps: (N,) index 0 to T-1 of each rectangle's step.
    """
    ego = ego_rectangles(points)
    others, at = np.asarray(rectangles, np.float64).reshape(-1, 5), np.asarray(steps, np.int64)
    hits = rectangles_overlap(ego[at], others)
    out = np.zeros(len(ego), np.bool_)
    out[at[hits]] = True
    return out


def grid_collisions(points: ArrayLike, rectangles: ArrayLike, steps: ArrayLike) -> Flags:
    """The same question (T,) as ST-P3 asks it: cells of 0.5 m, and an ego box that never turns.

    Rectangles are painted with their corners rounded to cells, borders included; the ego's cells are those whose centre
    lies inside its box straight ahead. What leaves the grid hits nothing.
    """
    p = np.asarray(points, np.float64)
    others, at = np.asarray(rectangles, np.float64).reshape(-1, 5), np.asarray(steps, np.int64)
    reach = np.hypot(others[:, 2], others[:, 3]) / 2 + EGO_LENGTH
    near = (np.abs(others[:, :2] - p[at]) < reach[:, None]).all(axis=1)
    out = np.zeros(len(p), np.bool_)
    side = round(2 * GRID_REACH / GRID_CELL)
    for step in np.unique(at[near]):
        rows, columns = _ego_cells(p[step])
        inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
        if not inside.any():
            continue
        grid = Image.new("1", (side, side))
        draw = ImageDraw.Draw(grid)
        corners = rectangle_corners(others[near & (at == step)])
        cells = np.rint((corners + GRID_REACH - GRID_CELL / 2) / GRID_CELL).astype(int)
        for outline in cells.reshape(-1, 8).tolist():
            draw.polygon(outline, fill=1, outline=1)
        out[step] = np.asarray(grid)[rows[inside], columns[inside]].any()
    return out


def _ego_cells(point: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (y) and columns (x) of the cells whose centre lies in the ego box that heads straight on."""
    low = point + [-EGO_WIDTH / 2, EGO_SHIFT - EGO_LENGTH / 2]
    high = point + [EGO_WIDTH / 2, EGO_SHIFT + EGO_LENGTH / 2]
    first = np.ceil((low + GRID_REACH) / GRID_CELL - 0.5).astype(np.int64)
    last = np.floor((high + GRID_REACH) / GRID_CELL - 0.5).astype(np.int64)
    columns, rows = np.meshgrid(np.arange(first[0], last[0] + 1), np.arange(first[1], last[1] + 1))
    return rows.ravel(), columns.ravel()
