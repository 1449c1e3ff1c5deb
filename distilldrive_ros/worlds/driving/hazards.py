"""What must not happen to the vehicle: touching somebody, leaving the road."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.planning.pdm.contacts import boxes_touch
from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.worlds.world import Agent, EgoState, Place

Array = NDArray[np.float64]


def ego_pose(ego: EgoState) -> Array:
    """Pose (3,) of base_link: x, y, yaw."""
    return np.array([*ego.position, ego.yaw])


def agent_corners(agents: tuple[Agent, ...]) -> Array:
    """Corners (N, 4, 2) on the ground."""
    boxes = np.array([[*a.center, *a.size, a.yaw] for a in agents], np.float64).reshape(-1, 7)
    return ground_corners(boxes)


def touched(ego: EgoState, agents: tuple[Agent, ...], vehicle: Vehicle) -> tuple[Agent, ...]:
    """Agents whose box touches the vehicle's."""
    if not agents:
        return ()
    body = vehicle.corners(ego_pose(ego))
    hits = boxes_touch(np.broadcast_to(body, (len(agents), 4, 2)), agent_corners(agents))
    return tuple(agents[index] for index in np.flatnonzero(hits))


class DrivableGround:
    """The drivable area of a place."""

    def __init__(self, place: Place) -> None:
        """Join and index its pieces."""
        # Pieces that only touch leave hairline gaps between them, which nobody falls into.
        self._area = shapely.union_all([piece.buffer(0.05) for piece in place.drivable])
        shapely.prepare(self._area)

    def holds_body(self, ego: EgoState, vehicle: Vehicle) -> bool:
        """Whether all corners of the vehicle are on it."""
        corners = vehicle.corners(ego_pose(ego))
        return bool(shapely.contains_xy(self._area, corners[:, 0], corners[:, 1]).all())

    def holds_center(self, ego: EgoState, vehicle: Vehicle) -> bool:
        """Whether the middle of the vehicle is on it."""
        x, y = vehicle.centers(ego_pose(ego))
        return bool(shapely.contains_xy(self._area, x, y))
