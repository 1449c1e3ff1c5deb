"""PDM-Closed as a model of the graph. Privileged: it is given the annotated road users and the map with the route.

What a planner can reach that sees perfectly; never one to compare a network with as an equal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration, require_motion
from distilldrive_ros.models.plan_output import plan_output
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.privileged_world import privileged_world
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.scene.candidates import ScoreType
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import SensorFrame

# Simulated states are 0.1 s apart; every fifth is a point of the plan.
POINT_STRIDE, POINT_STEP_S = 5, 0.5


@dataclass(frozen=True)
class PdmClosedModel:
    """Candidates are the 21 simulated proposals (4 s), scores their PDMS against forecasts of constant velocity."""

    trained: bool = True
    device: str = "cpu"
    model_id: str = "pdm_closed@privileged"

    @property
    def requirements(self) -> SensorRequirements:
        """Odometry and the ground truth."""
        return SensorRequirements(cameras=(), lidar=False, period_s=0.0, max_gap_s=2.0, ground_truth=True)

    def initial_state(self) -> MotionHistory | None:
        """No set before."""
        return None

    def prepare(self, frame: SensorFrame) -> SensorFrame:
        """Check what it needs.

        Raises:
            SensorDataError: the motion is not finite, or there is no ground truth.
        """
        require_motion(frame)
        if frame.privileged is None:
            raise SensorDataError(
                "pdm_closed is privileged and needs the ground truth of the set; play a bag made by `distilldrive "
                "convert` from a data set with its map expansion, or take another model"
            )
        return frame

    def step(self, state: MotionHistory | None, prepared: SensorFrame) -> tuple[MotionHistory, ModelOutput]:
        """Plan in the true world of the set.

        Raises:
            SensorDataError: the ground truth has no route.
        """
        start = time.perf_counter()
        assert prepared.privileged is not None  # as `prepare` has made sure
        ego = prepared.ego
        try:
            world = privileged_world(prepared.privileged, ego, forward_acceleration(ego, state, prepared.stamp_ns))
        except ScoringError as error:
            raise SensorDataError(str(error)) from error
        planned = plan_pdm_closed(world)
        points = planned.all_states[:, POINT_STRIDE::POINT_STRIDE]
        trajectories = (points[..., State.X], points[..., State.Y], points[..., State.HEADING], points[..., State.VX])
        seconds = {"proposals": time.perf_counter() - start}
        output = plan_output(
            prepared, self.model_id, planned.scores, trajectories, POINT_STEP_S, seconds, ScoreType.SIGMOID
        )
        return MotionHistory(prepared.stamp_ns, ego.speed), output
