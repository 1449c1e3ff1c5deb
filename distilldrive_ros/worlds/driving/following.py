"""Followers: from a plan and the vehicle's state to acceleration and steering rate, every 0.1 s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.paths import SHORTEST_SEGMENT_M, Path
from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.tracker import Tracker
from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.planning.pdm.world import TIME_STEP_S
from distilldrive_ros.worlds.driving.plan import DrivingPlan
from distilldrive_ros.worlds.world import EgoState

Array = NDArray[np.float64]

# Pure pursuit looks ahead as far as the vehicle comes in this time, but no less than this distance.
LOOK_AHEAD_S, SHORTEST_LOOK_AHEAD_M = 0.8, 3.0
# Speed and steering errors are worked off within about this time, s.
SPEED_TIME_S, STEERING_TIME_S = 0.5, 0.2


class Follower(Protocol):
    """Follows one plan."""

    def commands(self, step: int, state: Array) -> tuple[float, float]:
        """Acceleration m/s^2 and steering rate rad/s for a state (11,), `step` times 0.1 s after the plan's stamp."""
        ...


def reference_of(plan: DrivingPlan, start: EgoState) -> Array:
    """Poses (T, 3) in the world every 0.1 s, the first that of the vehicle at the plan's stamp, `start`."""
    times = np.append(0.0, plan.times_s)
    c, s = np.cos(start.yaw), np.sin(start.yaw)
    place = start.position + plan.poses[:, :2] @ np.array([[c, s], [-s, c]])
    x, y = (np.append(start.position[axis], place[:, axis]) for axis in range(2))
    yaw = np.unwrap(np.append(start.yaw, start.yaw + plan.poses[:, 2]))
    wanted = np.arange(int(times[-1] / TIME_STEP_S + 1e-6) + 1) * TIME_STEP_S
    return np.stack([np.interp(wanted, times, values) for values in (x, y, yaw)], axis=-1)


class LqrFollower:
    """The tracker of NAVSIM's simulator: speed and curvature profiles of the plan, one-step LQR on the errors."""

    def __init__(self, reference: Array, vehicle: Vehicle) -> None:
        """Fit the profiles of a reference (T, 3)."""
        # The plan's yaw may jump by whole turns between its points; the fit must not see that.
        self._tracker = Tracker(reference[None], vehicle, jerk_penalty=True)

    def commands(self, step: int, state: Array) -> tuple[float, float]:
        """As `Follower`."""
        acceleration, steering_rate = self._tracker.commands(step, state[None])
        return float(acceleration[0]), float(steering_rate[0])


class PurePursuitFollower:
    """Steers for a point ahead on the plan's line, drives at the plan's speed of half a second later."""

    def __init__(self, reference: Array, vehicle: Vehicle) -> None:
        """Take a reference (T, 3)."""
        steps = np.linalg.norm(np.diff(reference[:, :2], axis=0), axis=1)
        self._speeds = steps / TIME_STEP_S
        # A plan that stands still has no line: there is nothing to steer for.
        self._line = Path(reference[:, :2]) if (steps > SHORTEST_SEGMENT_M).any() else None
        self._vehicle = vehicle

    def commands(self, step: int, state: Array) -> tuple[float, float]:
        """As `Follower`."""
        ahead = min(step + round(SPEED_TIME_S / TIME_STEP_S), len(self._speeds) - 1)
        acceleration = float(self._speeds[ahead] - state[State.VX]) / SPEED_TIME_S
        wanted = self._steering(state)
        return acceleration, (wanted - float(state[State.STEERING_ANGLE])) / STEERING_TIME_S

    def _steering(self, state: Array) -> float:
        """Steering angle of the arc to the point ahead, rad."""
        if self._line is None:
            return float(state[State.STEERING_ANGLE])
        reach = max(SHORTEST_LOOK_AHEAD_M, LOOK_AHEAD_S * float(state[State.VX]))
        along, _ = self._line.locate(state[[State.X, State.Y]])
        target = self._line.poses(along + reach)[:2] - state[[State.X, State.Y]]
        angle = float(wrap(np.arctan2(target[1], target[0]) - state[State.HEADING]))
        curvature = 2.0 * np.sin(angle) / max(float(np.hypot(*target)), SHORTEST_LOOK_AHEAD_M)
        limit = self._vehicle.max_steering_angle
        return float(np.clip(np.arctan(curvature * self._vehicle.wheel_base), -limit, limit))


FOLLOWERS: dict[str, Callable[[Array, Vehicle], Follower]] = {"lqr": LqrFollower, "pure_pursuit": PurePursuitFollower}
