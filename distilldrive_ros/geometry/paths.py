"""A polyline as a road to drive along: poses at distances, and places of others relative to it."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Points closer than this count as one: their segment has no heading, m.
SHORTEST_SEGMENT_M = 1e-3


class Path:
    """A polyline (K, 2) with distances along it in metres."""

    def __init__(self, points: ArrayLike) -> None:
        """Take the points, without repetitions.

        Raises:
            ValueError: fewer than two different points.
        """
        given = np.asarray(points, np.float64)
        keep = np.append(True, np.linalg.norm(np.diff(given, axis=0), axis=1) > SHORTEST_SEGMENT_M)
        self.points = given[keep]
        if len(self.points) < 2:
            raise ValueError("a path needs two different points; give a longer line")
        steps = np.diff(self.points, axis=0)
        self._along = np.append(0.0, np.cumsum(np.linalg.norm(steps, axis=1)))
        angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
        # Heading of a point: mean of its two segments, so that headings do not jump.
        self._headings = np.concatenate([angles[:1], (angles[1:] + angles[:-1]) / 2, angles[-1:]])
        self._line = shapely.LineString(self.points)
        shapely.prepare(self._line)

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return float(self._along[-1])

    def poses(self, distances: ArrayLike) -> Array:
        """Poses (..., 3) x, y, heading at distances (...); straight on beyond the ends."""
        s = np.asarray(distances, np.float64)
        inside = np.clip(s, 0.0, self.length)
        x = np.interp(inside, self._along, self.points[:, 0])
        y = np.interp(inside, self._along, self.points[:, 1])
        heading = np.interp(inside, self._along, self._headings)
        beyond = s - inside
        return np.stack([x + beyond * np.cos(heading), y + beyond * np.sin(heading), heading], axis=-1)

    def locate(self, places: ArrayLike) -> tuple[Array, Array]:
        """Distances along (...) and to the left (...) of places (..., 2)."""
        p = np.asarray(places, np.float64)
        along = shapely.line_locate_point(self._line, shapely.points(p))
        foot = self.poses(along)
        dx, dy = p[..., 0] - foot[..., 0], p[..., 1] - foot[..., 1]
        return along, -np.sin(foot[..., 2]) * dx + np.cos(foot[..., 2]) * dy

    def near(self, places: Array, reach: Array) -> NDArray[np.bool_]:
        """Which places (N, 2) are within a reach (N,) of the path; much cheaper than `locate`."""
        return np.asarray(shapely.dwithin(self._line, shapely.points(places), reach))

    def part(self, start: float, end: float) -> Path:
        """The path between two distances along it."""
        inside = (self._along > start) & (self._along < end)
        ends = self.poses(np.clip([start, end], 0.0, self.length))[:, :2]
        return Path(np.concatenate([ends[:1], self.points[inside], ends[1:]]))

    def shifted(self, left: float) -> Path:
        """The path moved to the left by that many metres."""
        normal = np.stack([-np.sin(self._headings), np.cos(self._headings)], axis=-1)
        return Path(self.points + left * normal)
