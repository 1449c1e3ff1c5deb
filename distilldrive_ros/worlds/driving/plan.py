"""A plan as the closed loop takes it, from whoever made it: a network in this process, or a graph over ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.candidates import PlanCandidates

Array = NDArray[np.float64]

# Shorter plans say nothing of speed and curvature, s.
SHORTEST_PLAN_S = 0.5
# A point that far away is nonsense, m.
FARTHEST_M = 1000.0


@dataclass(frozen=True)
class DrivingPlan:
    """Where the vehicle shall be: poses in base_link at `stamp_ns`.

    `times_s` (N,): seconds after the stamp at which each is reached, increasing. `poses` (N, 3): x, y m, yaw rad.
    """

    stamp_ns: int
    times_s: Array
    poses: Array

    @property
    def problem(self) -> str:
        """Why it cannot be driven, in words; empty where it can."""
        if self.times_s.ndim != 1 or self.poses.shape != (len(self.times_s), 3):
            return f"times {self.times_s.shape} and poses {self.poses.shape} do not fit"
        if not len(self.times_s):
            return "it holds no pose"
        if not (np.isfinite(self.times_s).all() and np.isfinite(self.poses).all()):
            return "it holds NaN or infinity"
        if (np.diff(self.times_s, prepend=0.0) <= 0.0).any():
            return "its times do not increase from its stamp on"
        if self.times_s[-1] < SHORTEST_PLAN_S - 1e-6:
            return f"it ends {self.times_s[-1]:.2f} s ahead, {SHORTEST_PLAN_S} s are needed"
        if np.abs(self.poses[:, :2]).max() > FARTHEST_M:
            return f"it leads farther than {FARTHEST_M:.0f} m"
        return ""

    def since(self, start_ns: int) -> DrivingPlan:
        """The same plan with a stamp that counts from `start_ns`."""
        return replace(self, stamp_ns=self.stamp_ns - start_ns)


def selected_plan(candidates: PlanCandidates) -> DrivingPlan | None:
    """The selected candidate as a plan, or None where the planner selected none."""
    best = candidates.best
    if best is None:
        return None
    times = best.time_step * np.arange(1, len(best.positions) + 1, dtype=np.float64)
    poses = np.concatenate([best.positions, best.yaw[:, None]], axis=1)
    return DrivingPlan(candidates.stamp_ns, times, poses)
