"""Lanes side by side that go the same way: the road blocks of a nuScenes map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.worlds.world import Place, WorldLane

Array = NDArray[np.float64]

# Neighbours start and end side by side: farther apart than this many widths they are no neighbours.
REACH_WIDTHS = 1.5
# Cosine of the largest angle between neighbours.
SAME_WAY = 0.95


def road_blocks(place: Place) -> list[list[WorldLane]]:
    """Lanes, connectors left out, in groups of neighbours; lanes and groups in the place's order."""
    groups: list[list[WorldLane]] = []
    for lane in place.lanes:
        if lane.is_connector:
            continue
        beside = [group for group in groups if any(_neighbours(lane, other) for other in group)]
        joined = [member for group in beside for member in group] + [lane]
        groups = [group for group in groups if group not in beside] + [joined]
    return groups


def _neighbours(first: WorldLane, second: WorldLane) -> bool:
    reach = REACH_WIDTHS * (first.width + second.width) / 2
    for end in (0, -1):
        if np.linalg.norm(first.centerline[end] - second.centerline[end]) > reach:
            return False
        if _direction(first, end) @ _direction(second, end) < SAME_WAY:
            return False
    return True


def _direction(lane: WorldLane, end: int) -> Array:
    step = lane.centerline[1] - lane.centerline[0] if end == 0 else lane.centerline[-1] - lane.centerline[-2]
    return np.asarray(step / np.linalg.norm(step))
