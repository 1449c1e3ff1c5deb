"""The line that the expert follows: the route made smooth, led around what stands in the way, with its speeds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.trajectories import resample_polyline
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.worlds.world import Agent, Place

Array = NDArray[np.float64]

STEP_M = 0.5
SMOOTHING_M = 1.5
# The line goes on straight for so long beyond the route's ends, so that smoothing leaves these where they are, m.
EXTENSION_M = 20.0
LATERAL_ACCELERATION = 1.7
# Braking into curves, m/s^2.
COMFORTABLE_BRAKING = 1.1
# Room beside things that stand, m, how far the line may be moved for it, and how early that begins.
SIDE_ROOM_M = 0.45
LARGEST_SHIFT_M = 1.1
SHIFT_AHEAD_M, SHIFT_SMOOTHING_M = 7.0, 5.0
# Only what stands so far beside the route at most is looked at, m.
NEAR_M = 6.0


class Reference:
    """The line as a `Path`, with curvature (1/m) and speed (m/s) at distances along it."""

    def __init__(self, route: Array, place: Place, lanes: Iterable[str], standing: Iterable[Agent]) -> None:
        """Plan around what stands.

        Args:
            route: centre line (N, 2).
            place: whose lanes hold the speed limits.
            lanes: tokens of the route's lanes.
            standing: road users and things that will not move.
        """
        base = _extended(route)
        count = max(3, round(Path(base).length / STEP_M) + 1)
        points = gaussian_filter1d(resample_polyline(base, count), SMOOTHING_M / STEP_M, axis=0, mode="nearest")
        line = Path(points)
        shift = _shifts(line, standing)
        if np.abs(shift).max(initial=0.0) > 0.0:
            poses = line.poses(np.arange(len(shift)) * STEP_M)
            normal = np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], axis=-1)
            line = Path(poses[:, :2] + shift[:, None] * normal)
        self.path = line
        self._stations = np.arange(0.0, line.length, STEP_M)
        headings = np.unwrap(line.poses(self._stations)[:, 2])
        self._curvatures = gaussian_filter1d(np.gradient(headings, STEP_M), SMOOTHING_M / STEP_M, mode="nearest")
        self._speeds = self._speed_profile(place, lanes)

    @property
    def end(self) -> float:
        """Where the route ends, m along the path."""
        return self.path.length - EXTENSION_M

    def curvature(self, along: float) -> float:
        """1/m, positive to the left."""
        return float(np.interp(along, self._stations, self._curvatures))

    def speed(self, along: Array | float) -> Array:
        """The highest comfortable speed (...) at distances (...), m/s."""
        return np.asarray(np.interp(along, self._stations, self._speeds))

    def _speed_profile(self, place: Place, lanes: Iterable[str]) -> Array:
        """Limits of the lanes and of lateral acceleration, with braking ahead of slower stretches."""
        known = [place.lane_by_token[token] for token in lanes if token in place.lane_by_token]
        whole = max((lane.speed_limit for lane in known), default=10.0)
        limit = np.full(len(self._stations), whole)
        for lane in known:
            if not lane.is_connector and lane.speed_limit < whole:
                first, last = (float(self.path.locate(point)[0]) for point in lane.centerline[[0, -1]])
                limit[(self._stations >= first) & (self._stations <= last)] = lane.speed_limit
        bend = np.sqrt(LATERAL_ACCELERATION / np.maximum(np.abs(self._curvatures), 1e-4))
        speeds = np.minimum(limit, bend)
        for index in range(len(speeds) - 2, -1, -1):
            speeds[index] = min(speeds[index], np.sqrt(speeds[index + 1] ** 2 + 2 * COMFORTABLE_BRAKING * STEP_M))
        return np.asarray(speeds)


def agent_corners(agents: Iterable[Agent]) -> Array:
    """Corners (N, 4, 2) of the boxes."""
    boxes = np.array([[*a.center, *a.size, a.yaw] for a in agents], np.float64).reshape(-1, 7)
    return ground_corners(boxes)


def _extended(route: Array) -> Array:
    out = []
    for end, inner in ((route[0], route[1]), (route[-1], route[-2])):
        away = end - inner
        out.append(end + away / np.linalg.norm(away) * EXTENSION_M)
    return np.concatenate([out[0][None], route, out[1][None]])


def _shifts(line: Path, standing: Iterable[Agent]) -> Array:
    """How far (N,) to the left the line has to move at its stations to pass what stands beside it."""
    stations = int(line.length / STEP_M) + 1
    left, right = np.zeros(stations), np.zeros(stations)
    half = PACIFICA.width / 2 + SIDE_ROOM_M
    for corners in agent_corners(standing):
        along, aside = line.locate(corners)
        if np.abs(aside).min() > NEAR_M or along.max() < 0 or along.min() > line.length:
            continue
        window = slice(max(0, int((along.min() - SHIFT_AHEAD_M) / STEP_M)), int((along.max() + SHIFT_AHEAD_M) / STEP_M))
        if aside.mean() < 0:
            left[window] = np.maximum(left[window], aside.max() + half)
        else:
            right[window] = np.minimum(right[window], aside.min() - half)
    # The widest need holds for the smoothing's whole length, so that smoothing takes nothing from it.
    size = 2 * int(2 * SHIFT_SMOOTHING_M / STEP_M) + 1
    wanted = maximum_filter1d(left, size) + minimum_filter1d(right, size)
    clipped = np.clip(wanted, -LARGEST_SHIFT_M, LARGEST_SHIFT_M)
    return np.asarray(gaussian_filter1d(clipped, SHIFT_SMOOTHING_M / STEP_M, mode="nearest"))
