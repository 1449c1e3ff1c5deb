"""Who drives in pseudo closed loop: the reference planner, and models of the graph that need no sensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.proposals import reference_poses
from distilldrive_ros.planning.pdm.world import EGO_STATES, TIME_STEP_S, NavsimWorld
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.candidates import Candidate
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame

Array = NDArray[np.float64]

# A single point says nothing of the speed at its end.
FEWEST_POINTS = 2
HORIZON_S = (EGO_STATES - 1) * TIME_STEP_S


class Planner(Protocol):
    """Plans one drive, instant by instant; may remember."""

    def plan(self, world: NavsimWorld, step: int, command: Command) -> Array:
        """Reference poses (41, 3) in the world's frame; of the world's objects only the first instant may be seen.

        `step`: of 0.1 s since the start of the scene.
        """
        ...


# A fresh planner for a scene of that name.
PlannerFactory = Callable[[str], Planner]


class ReferencePlanner:
    """PDM-Closed; privileged."""

    def plan(self, world: NavsimWorld, step: int, command: Command) -> Array:
        """See `Planner`."""
        return plan_pdm_closed(world).references


@dataclass
class ModelPlanner:
    """A model that sees the vehicle's own motion and the command only.

    Plans shorter than 4 s are extended straight on at their last speed. The best candidate is driven even where the
    graph's planner would call it invalid: there is no fallback here.
    """

    model: DrivingModel
    limits: PlanningLimits = field(default_factory=PlanningLimits)

    def __post_init__(self) -> None:
        """Start a drive.

        Raises:
            ConfigurationError: the model needs sensors or ground truth.
        """
        needs = self.model.requirements
        if needs.cameras or needs.lidar or needs.ground_truth:
            raise ConfigurationError(
                f"{self.model.model_id} needs sensors, which pseudo closed loop does not simulate; `replay` the bags "
                "through it and give its plans: --plans NAME=BAG"
            )
        self._session = ModelSession(self.model)

    def plan(self, world: NavsimWorld, step: int, command: Command) -> Array:
        """See `Planner`."""
        candidates = self._session.run(blind_frame(world, step, command)).candidates
        return candidate_references(plan(candidates, self.limits).candidates[0], world)


def blind_frame(world: NavsimWorld, step: int, command: Command) -> SensorFrame:
    """A set without sensors, `step` times 0.1 s after the start."""
    stamp_ns = round(step * TIME_STEP_S * 1e9)
    ego = world.ego
    status = EgoStatus(stamp_ns, "base_link", stamp_ns, ego.vx, ego.vy, ego.yaw_rate, ego.ax, ego.ay, math.nan)
    return SensorFrame(
        stamp_ns=stamp_ns,
        frame_id="base_link",
        sequence=step,
        degraded=Degraded.NONE,
        discontinuity=Discontinuity.NONE if step else Discontinuity.START,
        command=command,
        world_frame="odom",
        world_from_base=np.eye(4),
        cameras=(),
        lidar=None,
        ego=status,
    )


def drivable(candidate: Candidate) -> bool:
    """Whether a candidate is finite and has points enough to be driven."""
    finite = np.isfinite(candidate.positions).all() and np.isfinite(candidate.yaw).all()
    return bool(finite) and len(candidate.positions) >= FEWEST_POINTS and candidate.time_step > 0


def candidate_references(candidate: Candidate, world: NavsimWorld) -> Array:
    """Reference poses (41, 3) of a candidate that starts at the world's ego.

    Raises:
        ScoringError: it is not finite or has less than two points.
    """
    if not drivable(candidate):
        raise ScoringError("a plan that is not finite, or of less than two points, cannot be driven; check the model")
    poses = np.column_stack([candidate.positions, candidate.yaw])
    missing = math.ceil(HORIZON_S / candidate.time_step - len(poses) - 1e-6)
    if missing > 0:
        stride = float(np.linalg.norm(poses[-1, :2] - poses[-2, :2]))
        ahead = stride * np.array([np.cos(poses[-1, 2]), np.sin(poses[-1, 2]), 0.0])
        poses = np.concatenate([poses, poses[-1] + ahead * np.arange(1, missing + 1)[:, None]])
    return reference_poses(poses[None], world.ego, candidate.time_step)[0]
