"""Map elements of a key frame as fixed numbers of points, and the orders that draw the same line (spec 5.3, 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.geometry.trajectories import resample_polyline
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind
from distilldrive_ros.training.batch import UNUSED_ORDERING

Array = NDArray[np.float64]

POINTS = 20
TARGET_KINDS = (PolylineKind.CROSSING, PolylineKind.DIVIDER, PolylineKind.BOUNDARY)
# The ends of a closed line are this near to each other, m.
CLOSED_WITHIN_M = 1e-3


def polyline_arrays(
    polylines: Sequence[MapPolyline], base_from_network: Array, points: int = POINTS
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Crossings, dividers and boundaries on the ground, in the network's frame.

    Args:
        polylines: in base_link, metres; of other kinds: left out.
        base_from_network: (4, 4).
        points: number of points of each, at equal distances.

    Returns:
        Lines (P, points, 2) in metres and labels (P,), the kinds' numbers.
    """
    network_from_base = inverse(base_from_network)
    kept = [line for line in polylines if line.kind in TARGET_KINDS]
    lines = np.zeros((len(kept), points, 2), np.float32)
    for out, line in zip(lines, kept, strict=True):
        on_ground = np.concatenate([np.asarray(line.xy, np.float64), np.zeros((len(line.xy), 1))], axis=1)
        out[:] = resample_polyline(transform_points(network_from_base, on_ground)[:, :2], points)
    return lines, np.array([int(line.kind) for line in kept], np.int64)


def equivalent_orderings(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orders (P, 2 (S - 1), S, 2) of lines (P, S, 2) that draw the same.

    An open line: itself, its reverse, then `UNUSED_ORDERING`. A closed line: every start in both directions, the first
    point repeated at the end; the first order is the line itself.
    """
    count, size, _ = lines.shape
    out = np.full((count, 2 * (size - 1), size, 2), UNUSED_ORDERING, np.float32)
    out[:, 0], out[:, 1] = lines, lines[:, ::-1]
    closed = np.flatnonzero(np.linalg.norm(lines[:, 0] - lines[:, -1], axis=-1) < CLOSED_WITHIN_M)
    corner = np.arange(size - 1)
    starts = (corner[:, None] + np.arange(size)) % (size - 1)
    for index in closed:
        out[index, : size - 1] = lines[index][starts]
        out[index, size - 1 :] = lines[index][starts[:, ::-1]]
    return out
