"""Centre lines of lanes as nuScenes stores them (`arcline_path_3`): chains of arcs and straight pieces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Record = dict[str, Any]
Pose = tuple[float, float, float]

# Farthest that a fitted arc may lie from the points it stands for, m.
TOLERANCE_M = 0.03
# Flatter than this, 1/m, a piece is straight.
STRAIGHT = 1e-5
STRAIGHT_RADIUS_M = 999.999
# No arc turns farther than this in one piece, rad.
LARGEST_TURN = 2.5


def arc_record(start: Pose, end: Pose, curvature: float, length: float) -> Record:
    """One element: an arc (curvature 1/m, left positive) or a straight piece of `length` m between poses x, y, yaw.

    nuScenes' elements are three pieces in a row, such as left arc, straight, right arc; here two have no length. An arc
    is always the first of them: readers that step from piece to piece may take one step on an empty one.
    """
    straight = abs(curvature) < STRAIGHT
    lengths = [0.0, length, 0.0] if straight else [length, 0.0, 0.0]
    return {
        "start_pose": _rounded(start),
        "end_pose": _rounded(end),
        "shape": "RSL" if curvature <= -STRAIGHT else "LSR",
        "radius": STRAIGHT_RADIUS_M if straight else round(abs(1 / curvature), 6),
        "segment_length": [round(value, 6) for value in lengths],
    }


def fit_arclines(points: Array) -> list[Record]:
    """A line through points (N, 2) m, N > 1, as few arcs and straight pieces, none farther off than `TOLERANCE_M`.

    The ends of all pieces lie on points of the line.
    """
    distinct = points[np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6])]
    records, first = [], 0
    while first < len(distinct) - 1:
        last, piece = _longest_piece(distinct, first)
        records.append(piece)
        first = last
    return records


def _longest_piece(points: Array, first: int) -> tuple[int, Record]:
    """The piece that starts at a point and reaches farthest: by doubling, then by halving the last stride."""
    last, stride = first + 1, 1
    piece = _piece(points[first : last + 1])
    assert piece is not None  # two points are a straight line
    while stride and last < len(points) - 1:
        reach = min(last + stride, len(points) - 1)
        longer = _piece(points[first : reach + 1])
        if longer is not None:
            last, piece, stride = reach, longer, stride * 2
        else:
            stride //= 2
    return last, piece


def _piece(points: Array) -> Record | None:
    """The straight line or circle through first, middle and last point, where it fits all edges between; else None."""
    start, end = points[0], points[-1]
    checked = np.concatenate([points, (points[1:] + points[:-1]) / 2])
    chord = end - start
    length = float(np.hypot(*chord))
    if length < 1e-6:
        return None
    ahead = chord / length
    aside = (checked - start) @ np.array([-ahead[1], ahead[0]])
    along = (points - start) @ ahead
    if np.abs(aside).max() <= TOLERANCE_M and (np.diff(along) > 0).all():
        yaw = math.atan2(ahead[1], ahead[0])
        return arc_record((*start, yaw), (*end, yaw), 0.0, length)
    middle = points[len(points) // 2]
    # Curvature of the circle through three points: four times the triangle's area by the product of its sides.
    (ax, ay), (bx, by) = middle - start, end - middle
    cross = float(ax * by - ay * bx)
    product = length * math.hypot(ax, ay) * math.hypot(bx, by)
    curvature = 2 * cross / product if product > 1e-9 else 0.0
    half = curvature * length / 2
    if abs(curvature) < STRAIGHT or abs(half) > math.sin(LARGEST_TURN / 2):
        return None
    turn = 2 * math.asin(half)
    center = (start + end) / 2 + np.array([-ahead[1], ahead[0]]) * math.cos(turn / 2) / curvature
    off = np.abs(np.hypot(*(checked - center).T) - abs(1 / curvature))
    if off.max() > TOLERANCE_M or not (np.diff(along) > 0).all():
        return None
    yaw = math.atan2(ahead[1], ahead[0])
    return arc_record((*start, yaw - turn / 2), (*end, yaw + turn / 2), curvature, turn / curvature)


def _rounded(pose: Pose) -> list[float]:
    x, y, yaw = pose
    return [round(float(value), 6) for value in (x, y, (yaw + math.pi) % (2 * math.pi) - math.pi)]
